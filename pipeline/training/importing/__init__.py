"""Other people's training data as training records: one module per format.

What belongs here: reading a format into signals, and handing these to the recorder. What does not:
tables (``pipeline.training.projecting``). A module ``NAME`` has ``read(path)``, which yields an ``Item``
per piece of data that can be imported and a ``Malformed`` per piece that cannot, and never raises for
what a file holds.
"""
