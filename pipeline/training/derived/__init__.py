"""What is computed from the records: open links, rankings, strengths, verdicts, patterns."""
