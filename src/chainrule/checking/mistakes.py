"""The mistakes that a check knows by name: one table. `docs/mistakes.md` has a section for each."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: What a diagnosis may tell `advice_for`. All of it is optional.
FACTS = {
    "input": "name of the input or parameter whose gradient is wrong",
    "node": "name of the node or layer",
    "factor": "the gradient divided by what it should be",
    "n": "the batch size",
    "axis": "the axis, or the axes, to sum over",
    "expected": "what should have come: a shape, a dtype, a number of gradients",
    "came": "what came instead",
    "other": "name of the other input, where two are exchanged",
    "detail": "complete sentences, which are put at the end",
}


@dataclass(frozen=True)
class Mistake:
    """A mistake: its code, what it is in a few words, and what to do about it.

    `advice` is a template. `{factor:a constant}` is the fact `factor`, or "a constant" where it is not known.
    """

    code: str
    title: str
    advice: str

    @property
    def link(self) -> str:
        """Where it is explained."""
        return f"docs/mistakes.md#{self.code}"


#: In the order of the page: formulas, shapes and dtypes, state and memory, losses, what is no mistake.
_ALL = (
    Mistake(
        "sign",
        "the gradient is negated",
        "The gradient of {input:this input} has the right size and the wrong sign: multiply it by -1. For "
        "y = a - b, say, db = -dy.",
    ),
    Mistake(
        "factor",
        "a constant factor is wrong",
        "The gradient of {input:this input} is {factor:a constant} times what it should be. Look for a "
        "number that was left out or put in twice, such as the 2 of y = x**2, dx = dy * 2 * x.",
    ),
    Mistake(
        "batch-mean",
        "a missing or an extra division by the batch size",
        "The gradient of {input:this input} is {factor:N or 1/N} times what it should be, in a batch of "
        "{n:N} samples. A loss that is the mean over the batch divides its gradient by N, dx = (p - t) / "
        "N; every other layer only sums, dW = x.T @ dy.",
    ),
    Mistake(
        "value-for-gradient",
        "the input stands where the output belongs, or the reverse",
        "The gradient of {input:this input} uses {came:input or output} where {expected:the other} "
        "belongs. With the output y: sigmoid dx = dy * y * (1 - y), tanh dx = dy * (1 - y**2), exp dx = "
        "dy * y. With the input x: log dx = dy / x.",
    ),
    Mistake(
        "activation-gradient-missing",
        "dy is passed on unchanged",
        "The gradient of {input:this input} is dy as it came. Multiply it by the function's own "
        "derivative: dx = dy * f'(x).",
    ),
    Mistake(
        "upstream-ignored",
        "dy is not used",
        "The gradient of {input:this input} does not depend on dy: it is the local derivative alone. The "
        "chain rule multiplies the two, dx = dy * f'(x).",
    ),
    Mistake(
        "mask",
        "the gradient's mask is not the forward's",
        "The gradient of {input:this input} passes where the forward let nothing through, or is stopped "
        "where it let something through. Use the forward's own mask: for ReLU, dx = dy * (x > 0).",
    ),
    Mistake(
        "fan-out",
        "one of several paths is missing",
        "{input:This input} reaches the output by several paths, and its gradient lacks at least one of "
        "them. The gradients of all paths are added: for y = x + F(x), dx = dy + dy * F'(x).",
    ),
    Mistake(
        "order",
        "the gradients of two inputs are exchanged",
        "The gradient of {input:one input} is that of {other:another}, and the reverse. Return them in "
        "the order in which forward takes its inputs: for y = a * b, (dy * b, dy * a).",
    ),
    Mistake(
        "zero",
        "the gradient is zero",
        "The gradient of {input:this input} is 0 everywhere, and should not be. Look for an array of "
        "zeros that is never filled, a mask that is never true, whole numbers where fractions belong, or, in "
        "a loop over time, = for +=: then the last one written stays.",
    ),
    Mistake(
        "transpose",
        "two axes are exchanged",
        "The gradient of {input:this input} has two axes exchanged: {came:a matrix} stands where "
        "{expected:its transpose} belongs. For y = x @ W: dx = dy @ W.T and dW = x.T @ dy.",
    ),
    Mistake(
        "adjoint",
        "the forward's own map, where its transpose belongs",
        "The gradient of {input:this input} is the Jacobian times dy, and must be its transpose times dy. What "
        "forward turns, backward turns back; what forward sums from the front, backward sums from the end.",
    ),
    Mistake(
        "tail",
        "the last, partial block is wrong",
        "The gradient of {input:this input} goes wrong at the last block of an axis whose length is no multiple of "
        "the block. Mask what lies beyond the end in backward, too, and let its grid cover the remainder.",
    ),
    Mistake(
        "axis",
        "summed over the wrong axis",
        "The gradient of {input:this input} is summed over the wrong axis, or averaged. A value that "
        "takes part in many outputs gets the sum of their gradients, here over {axis:each axis along "
        "which it was repeated}. For y = x @ W + b with one row for each sample, db = dy.sum(axis=0).",
    ),
    Mistake(
        "broadcast",
        "the gradient was not summed back after broadcasting",
        "The gradient of {input:this input} has the shape {came:of the output}, and must have the shape "
        "{expected:of the input}. NumPy repeated the input to make it fit, and the gradients of its "
        "copies are summed: dx = dy.sum(...) over {axis:the axes of the copies}.",
    ),
    Mistake(
        "shape",
        "the gradient has another shape than its input",
        "The gradient of {input:this input} has the shape {came:of something else}, and must have the "
        "shape {expected:of the input}: one number for each number of the input.",
    ),
    Mistake(
        "dtype",
        "the gradient has another dtype than the computation",
        "The gradient of {input:this input} came as {came:another dtype}, in a computation in "
        "{expected:one float dtype}. Make new arrays like those at hand, np.zeros_like(x), and round "
        "nothing on the way.",
    ),
    Mistake(
        "missing",
        "there is no gradient",
        "There is no gradient of {input:some input}: expected {expected:one for each input and "
        "parameter}, got {came:fewer}. backward returns one for each input, in their order; a layer that "
        "holds its own parameters keeps one for each, such as self.dW for self.W; in PyTorch, .detach(), "
        ".data, torch.no_grad() and what goes through NumPy cut a gradient off.",
    ),
    Mistake(
        "mutates-upstream",
        "backward writes into dy",
        "backward writes into dy, which belongs to its caller: another path may still need it. Make a new "
        "array, dx = dy * mask.",
    ),
    Mistake(
        "mutates-input",
        "an input is written to",
        "forward or backward writes into {input:an input}, which belongs to the caller. Make a new array: "
        "y = np.maximum(x, 0), not x[x < 0] = 0.",
    ),
    Mistake(
        "aliases-upstream",
        "backward returns the very array dy",
        "The gradient of {input:this input} is the very array dy, not a new one: what is done to the one "
        "in place is done to the other. Return dy.copy().",
    ),
    Mistake(
        "accumulates",
        "the last call's gradient is still in it",
        "The gradient of {input:this input} still contains that of the last call. Assign in backward, "
        "self.dW = x.T @ dy, not +=.",
    ),
    Mistake(
        "stale-state",
        "backward uses what another call left behind",
        "backward of {node:the layer} uses what another call left behind: a second forward, or a second "
        "backward, changes its result. Save what backward needs anew in every forward, and let backward "
        "change nothing.",
    ),
    Mistake(
        "stale-weights",
        "backward uses other weights than forward did",
        "backward uses other weights than forward did. Compute dx = dy @ W.T with the W of the forward, "
        "before anything is updated, and leave updates to the optimizer.",
    ),
    Mistake(
        "used-in-part",
        "the gradient is another where only a part is used",
        "{node:The function} gives another gradient of {input:an input} where not all gradients, or not all "
        "outputs, are used. Compute each gradient from its own terms, whichever of the others "
        "`ctx.needs_input_grad` asks for; an output that is not used comes without a dy, or with zeros.",
    ),
    Mistake(
        "strides",
        "the elements are not where they are looked for",
        "{node:The function} gives another result where a tensor is not contiguous, as after a transposition "
        "or a slice, or as the dy of a sum. Call .contiguous() first, or use the tensor's own strides; refuse what "
        "it cannot take.",
    ),
    Mistake(
        "forward-disagrees",
        "the forward computes another function",
        "{node:The function} has another output than it should have. Two forwards of one function compute the "
        "same: a fast one and its plain reference, or one that keeps what backward needs and one that is called "
        "without gradients.",
    ),
    Mistake(
        "loss-disagrees",
        "forward and backward are of two different losses",
        "forward and backward of {node:the loss} come from two formulas, which part at large logits. With "
        "an epsilon inside the logarithm the loss has a ceiling, and no gradient there. Take the "
        "logarithm and the softmax, or the sigmoid, as one: log softmax(x) = z - log(sum(exp(z))) with "
        "z = x - max(x).",
    ),
    Mistake(
        "label-shape",
        "labels of another form are misread",
        "Labels of {came:another form} are misread without an error. Tell the forms apart by shape "
        "and dtype: whole numbers of shape (N,) are classes, an array of the logits' shape is one-hot. "
        "Refuse the rest.",
    ),
    Mistake(
        "not-finite",
        "NaN or infinity where the mathematics is finite",
        "The result is {came:NaN or infinite} where the mathematics is finite. Write the formula so that "
        "nothing overflows: exp of x - max(x), np.logaddexp(0, x) for log(1 + exp(x)), the logarithm of a "
        "softmax as one.",
    ),
    Mistake(
        "kink",
        "not differentiable here",
        "The function has a corner at this value of {input:its input}: the slopes on the two sides "
        "differ, so there is no derivative to compare with. Any number between the two will do; this is "
        "no failure.",
    ),
    Mistake(
        "raises",
        "an error was raised",
        "{node:The code} raised an error, or returned what no check can use, so nothing could be compared.",
    ),
    Mistake(
        "random",
        "the forward gives another result each time",
        "The forward of {node:the layer} gives another result each time, so there is nothing to compare "
        "with. Take random numbers from the generator that is handed in, forward(..., *, rng), and keep "
        "for backward what was drawn.",
    ),
    Mistake(
        "unknown",
        "wrong, in no known way",
        "The gradient of {input:this input} is wrong, and no known mistake explains how. Derive it again "
        "one operation at a time, and check each by itself.",
    ),
)

MISTAKES: dict[str, Mistake] = {mistake.code: mistake for mistake in _ALL}


def advice_for(code: str, **facts: object) -> str:
    """The advice for a mistake, with what is known of it filled in, and the link to its section.

    The facts are those of `FACTS`; one that is absent, or None, is put in general words.
    """
    unknown = sorted(facts.keys() - FACTS.keys())
    if unknown:
        raise TypeError(f"advice_for: unknown facts {', '.join(unknown)}; there are {', '.join(FACTS)}")
    mistake = MISTAKES[code]
    words = {name: _Fact(_in_words(name, facts.get(name))) for name in FACTS}
    sentences = [mistake.advice.format_map(words), _in_words("detail", facts.get("detail"))]
    return " ".join([*filter(None, sentences), f"See {mistake.link}"])


class _Fact:
    """A fact in a template: `{name:otherwise}` becomes its words, or, where there are none, `otherwise`."""

    def __init__(self, words: str | None) -> None:
        self._words = words

    def __format__(self, otherwise: str) -> str:
        return otherwise if self._words is None else self._words


def _in_words(name: str, fact: object) -> str | None:
    if fact is None or fact == "":
        return None
    if name == "factor":
        factor = float(str(fact))
        return f"{factor:.4g}" if math.isfinite(factor) else None
    if name == "axis":
        several = isinstance(fact, tuple) and len(fact) != 1
        return f"axes {fact}" if several else f"axis {fact[0] if isinstance(fact, tuple) else fact}"
    return str(fact)
