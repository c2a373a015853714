"""scikit-learn's own tests of its MLP, from the installed package, on the estimators of chainrule."""

from __future__ import annotations

from pathlib import Path

import pytest
import sklearn.neural_network
from sklearn.utils.fixes import parse_version

#: Those that are not run, and why.
EXCEPTIONS = {
    "test_gradient": "it calls the private _loss_grad_lbfgs; test_sklearn_curves.py holds the way of L-BFGS",
}
if parse_version(sklearn.__version__) < parse_version("1.6"):
    EXCEPTIONS["test_mlp_regressor_dtypes_casting"] = (
        "held to 1e-4 there, to 5e-4 since: a training in float32"
    )
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
SUITE = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"

pytestmark = pytest.mark.filterwarnings("default")

_text = SUITE.read_text()
assert IMPORT in _text
exec(
    compile(_text.replace(IMPORT, "from chainrule.sklearn import MLPClassifier, MLPRegressor"), SUITE, "exec")
)
for _name in EXCEPTIONS:
    del globals()[_name]


@pytest.fixture
def global_random_seed() -> int:
    """scikit-learn's fixture."""
    return 42


def test_all_of_them_run(request: pytest.FixtureRequest) -> None:
    from chainrule.sklearn import classifier, regressor

    assert globals()["MLPClassifier"] is classifier.MLPClassifier
    assert globals()["MLPRegressor"] is regressor.MLPRegressor
    items = [each for each in request.session.items if each.path == request.path]
    if len({each.name.partition("[")[0] for each in items}) > 5:  # unless some were asked for by name
        least = 58 if parse_version(sklearn.__version__) >= parse_version("1.9.1") else 45
        assert len(items) - 1 >= least
