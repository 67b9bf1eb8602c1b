"""Training signals: records of runs, and what trainers load made from them."""
