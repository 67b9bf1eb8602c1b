"""An OpenAI-compatible server that invents its answers, for trying, testing and measuring the collector.

What belongs here: what it knows (``knowledge``), which faults it makes (``faults``), the server
(``server``). What does not: anything that a real run needs. All it says is marked synthetic, in a header
and in the body.
"""
