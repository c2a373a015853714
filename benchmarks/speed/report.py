"""RESULTS.md, written from what was measured."""

from __future__ import annotations

from pathlib import Path

from speed.results import Results
from speed.tables import Table, all_tables

RULES = """\
- **Same work.** Every peer starts from the same float32 weights and trains on the same rows. Before anything is
  timed, its losses of the first 20 steps (3 in W5) and its outputs are compared with a plain float64
  reference; who disagrees is not timed.
- **In turn.** Each peer is a process of its own. In every round each is asked once, in a random order, while
  all others are stopped by a signal. Every sample starts again from the start weights. What peers compile is
  compiled before, except in W6: the first sample does not count.
- **Median and quartiles** over the rounds. "Times ours" is the median of the rounds' own ratios.
- **Threads.** Everyone is timed with each number of threads, and its better one is in the table. JAX with one
  thread is `NPROC=1`.
- **chainrule** runs a table of instructions: on its "machine", written in C, which is what users get; or, where
  that is missing, in "NumPy" (`CHAINRULE_NATIVE=off`), a reference that is not made to be fast.
- **A step** takes the batch's rows out of the data, goes forward and backward, updates, and keeps the loss. For
  chainrule it is what the history of `net.fit` says, from the end of the first step to that of the last, less
  the measuring over all the data after every epoch (which in W5 may be as short as a step): nobody else measures
  there. For the others the row numbers are drawn in advance.
- **W1's job** is 10,000 iterations with the loss of each and the accuracy over all training and test images
  every 600. For chainrule it is one call of `net.fit` that is not told how many threads to use ("as it comes");
  it also draws its rows, and measures the losses of both sets.
- **Peers, each at its best.** *PyTorch*: eager with fused optimizers; `torch.compile` of the whole step
  (batch, gradient, update) as one function; and of batch and gradient, with the fused optimizer after it.
  *JAX*: a jitted step with donated buffers, and `lax.scan` over all steps of a sample (an epoch in the job).
  *scikit-learn*: `partial_fit` for every batch, and one call over the rows of many batches, which gives only
  their mean loss; with two classes its network has one output. *Textbook*: a class a layer, float64
  parameters; its loss from the gradient's forward pass, or from a second one as the book prints it.
- **The floor** is the step's matrix products alone, by `np.matmul` or `np.dot` into arrays that are there already.
  W5 takes `np.dot`, since `np.matmul` is slow with a batch of one.
- **W4**: inputs are where the peer wants them (NumPy array, tensor, device array) and so are the results, which
  are waited for. scikit-learn gives probabilities, the others logits. *Plain NumPy* is
  `np.maximum(x @ W1 + b1, 0) @ W2 + b2` in float32: it checks nothing.
- **W6** is the whole `fit` of a network never seen before: its hidden widths are new in every round, the same for
  everyone. The time runs from the making of the network to the end of the last epoch, and includes compiling but no
  imports. Everyone goes through all rows in a new order every epoch (of 60,000 images with batches of 128, the
  first 59,904). *chainrule*: one call of `net.fit`, threads left to it; it also measures the loss and the accuracy
  over all the training data after every epoch, as is its default. *scikit-learn*: one call of `MLPClassifier.fit`
  with `alpha=0`, no momentum, and no early end. *PyTorch*: eager, fused optimizers, rows taken from tensors by
  their numbers, no DataLoader. *JAX*: a jitted `lax.scan` over the batches of an epoch, its data on the device in
  advance. `torch.compile` takes 13 s (W7), longer than any of these fits.
  The start weights are each program's own; whose training accuracy ends more than 0.02 from the median
  of all is refused.
- **W7, start**: a new process that loads 1,000 images, imports, and does one step. "In all" begins with Python's
  start and has everything in it. "Cached" is a second process with the same cache folders (TorchInductor's, JAX's);
  there are none of chainrule's. The operating system has the files in memory in both.
- **Peak memory** is that of a new process that loads MNIST and does W1's job.
"""


def write_report(results: Results, path: Path, picture: str) -> None:
    """Everything on one page."""
    machine, settings = results.machine, results.settings
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        "# How fast it is",
        "This page is written by `make bench`, which measures everything anew and takes "
        f"{results.seconds / 60:.0f} minutes. Parts of it: `make bench BENCH='--only W1,W3'`; "
        "a quick look: `make bench BENCH=--quick`.",
        f"![Time per step and prediction of every peer]({picture})",
        "## On what",
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; {versions}; "
        f"NumPy's matrix products: {machine['blas']}; C++ compiler: {machine['compiler']}. "
        f"Numbers of threads tried: {', '.join(map(str, settings['threads']))}. "
        f"{settings['rounds']} rounds, {settings['job_rounds']} of the whole job. "
        f"Load of the machine before the run: {machine['load']:.2f}"
        + (
            ", so **other programs were running, and these figures are not to be relied on.**"
            if busy(results)
            else "."
        ),
        "## How",
        RULES.rstrip(),
    ]
    for number, table in enumerate(all_tables(results)):
        if number == 1:
            parts.append("## Figures")
        parts.append(f"{'##' if number == 0 else '###'} {table.title}")
        if number == 0:
            parts.append(
                "Ratios are medians with quartiles. Equal means within 5 %. What is missed is said to be."
            )
        parts.append(_markdown(table))
    parts += _refusals(results)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def busy(results: Results) -> bool:
    """Whether something else was using the processor when the run began."""
    return float(results.machine["load"]) > 0.5


def _markdown(table: Table) -> str:
    lines = ["| " + " | ".join(table.heads) + " |"]
    lines.append("|" + "|".join("---" if n == 0 else "---:" for n in range(len(table.heads))) + "|")
    for number, row in enumerate(table.rows):
        cells = [f"**{cell}**" if cell and number in table.marked else cell for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _refusals(results: Results) -> list[str]:
    lines = [f"- {o.key}: {who}: {why}" for o in results.outcomes.values() for who, why in o.refused.items()]
    worst: dict[str, float] = {}
    for outcome in results.outcomes.values():
        for who, error in outcome.errors.items():
            worst[who] = max(error, worst.get(who, 0.0))
    text = ", ".join(f"{who} {error:.1e}" for who, error in sorted(worst.items()))
    agreed = f"The largest relative differences from the float64 reference: {text}."
    refused = "\n".join(lines) if lines else "Nobody was refused."
    return ["## Who was compared, and who was refused", agreed, refused]
