"""Estimators for scikit-learn: change one import, `from chainrule.sklearn import MLPClassifier, MLPRegressor`."""

import chainrule.program  # noqa: F401  it is imported here rather than in the first fit
from chainrule.sklearn.classifier import MLPClassifier
from chainrule.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
