"""For tests of what others write: trainers, rules, estimators, executors.

`contracts` holds test classes to inherit from, `strategies` what Hypothesis draws (both need the
packages pytest and hypothesis), `faults` what goes wrong on purpose, `calls` what is called in
other processes.
"""
