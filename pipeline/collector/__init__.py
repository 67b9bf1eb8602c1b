"""Prompts out, raw outputs and scores in: datasets, evaluators, client, planner, runner, results."""
