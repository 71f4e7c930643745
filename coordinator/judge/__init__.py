"""From closed tasks to verdicts: anytime-valid tests of a canary against its baseline."""
