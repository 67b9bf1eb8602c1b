"""OpenTelemetry in: spans of instrumented agents become events of the spool.

What belongs here: the conventions of attributes, spans as events, the OTLP/HTTP intake, a span processor
for the same process. What does not: the spool's form (``pipeline.capture.spool``) and tables.
``opentelemetry`` is imported by those modules alone that need it, when they are used.
"""
