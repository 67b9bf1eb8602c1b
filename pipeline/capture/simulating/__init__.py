"""A realistic arbiter for trying everything out: tasks, agents of different skill, tools, failures, retries.

What belongs here: the simulated application. What does not: recording; it goes through the real interceptors.
"""
