"""A worked plug-in for schedplan: an axis kind, a rule, an estimator and a trainer."""
