"""Estimators for scikit-learn: change one import, `from chainrule.sklearn import MLPClassifier, MLPRegressor`."""

from chainrule.sklearn.classifier import MLPClassifier
from chainrule.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
