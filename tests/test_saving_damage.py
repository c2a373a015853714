"""Model files that are missing, damaged or hostile: FileError, and nothing else; and writing that fails."""

from __future__ import annotations

import builtins
import errno
import json
import os
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_bytes

import chainrule as cr
from chainrule.errors import FileError
from chainrule.saving import model
from chainrule.saving.container import pieces_of

X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)


def network(seed=0):
    x = cr.Input("x", shape=(4,))
    h = cr.Dropout(0.1)(cr.BatchNorm()(cr.Affine(3)(x * np.arange(1.0, 5.0) + cr.Parameter("shift", 0.5))))
    return cr.Network(output=cr.Affine(2)(h), loss=cr.SoftmaxCrossEntropy(), seed=seed)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """The bytes of a good file."""
    return cr.save(network(), tmp_path_factory.mktemp("valid") / "net").read_bytes()


def parts(content):
    """The arrays and the architecture in a good file."""
    import safetensors.numpy

    header, _ = header_of(content)
    return safetensors.numpy.load(content), json.loads(header["__metadata__"]["chainrule"])


def header_of(content):
    """The header of a file, and the bytes behind it."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def written(header, rest):
    """A file with this header."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def refused(path, message="."):
    with pytest.raises(FileError, match=message) as caught:
        cr.load(path)
    assert str(path)[:200] in str(caught.value)


def loads_or_refuses(path):
    """Loading works or raises FileError; a network that was loaded can predict."""
    try:
        net = cr.load(path)
    except FileError:
        return
    with np.errstate(all="ignore"):
        net.predict({name: np.zeros((1, *shape), int) for name, shape in net.input_shapes.items()})


# Reading


def test_no_such_file(tmp_path):
    refused(tmp_path / "none", "there is no model file")
    refused(tmp_path, "is not a file")
    refused(tmp_path / "none" / "none", "there is no model file")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file" / "inside", "there is no model file|could not read")
    refused(tmp_path / ("x" * 5000), "could not read")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(valid, tmp_path):
    (tmp_path / "net").write_bytes(valid)
    (tmp_path / "net").chmod(0)
    refused(tmp_path / "net")


def test_empty_and_truncated_at_every_tenth_byte(valid, tmp_path):
    path = tmp_path / "net"
    for size in range(0, len(valid), 10):
        path.write_bytes(valid[:size])
        refused(path, "not a readable model file.*cut off")
    path.write_bytes(valid + b"\0")
    refused(path, "not a readable model file")


def test_a_header_with_a_flipped_bit(valid, tmp_path):
    path, rng = tmp_path / "net", np.random.default_rng(0)
    size = 8 + int.from_bytes(valid[:8], "little")
    for place in [*range(12), *rng.choice(size, 250, replace=False).tolist()]:
        changed = bytearray(valid)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(changed))
        loads_or_refuses(path)


def test_random_bytes_and_other_kinds_of_file(tmp_path):
    path, rng = tmp_path / "net", np.random.default_rng(1)
    for size in (1, 7, 8, 9, 100, 5000):
        path.write_bytes(rng.bytes(size))
        refused(path)
        path.write_bytes((size // 2).to_bytes(8, "little") + rng.bytes(size))
        refused(path)
    for content in (b"{}", b"PK\x03\x04" * 20, b"\x80\x04K\x01.", b"length,width\n1,2\n" * 9, b"\0" * 64):
        path.write_bytes(content)
        refused(path)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_mutation_of_a_valid_file(valid, tmp_path_factory, data):
    changed = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(changed)))
        length = data.draw(st.sampled_from([0, 1, 1, 2, 8]))
        put = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"9", b"-", b'"', b"[", b"}", b"1e9", b"null"])
        )
        changed[start : start + length] = put
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(bytes(changed))
    loads_or_refuses(path)


def test_another_programs_safetensors(tmp_path):
    path = tmp_path / "net"
    for metadata in (None, {"format": "pt"}):
        path.write_bytes(to_bytes({"W1": X}, metadata))
        refused(path, "but not one of chainrule's")
    for text in (
        "",
        "[]",
        "3",
        '{"format": "chainrule model 0"}',
        '{"format": "chainrule model 2"}',
        '{"format": "chainrule model 3"}',
        '{"format": ["chainrule model 1"]}',
        "[" * 9**5,
    ):
        path.write_bytes(to_bytes({"W1": X}, {"chainrule": text}))
        refused(path)
    path.write_bytes(to_bytes({"W1": X}, {"chainrule": '{"format": "chainrule model 3"}'}))
    refused(path, "'chainrule model 3'.*needs a newer chainrule, pip install -U chainrule")
    path.write_bytes(to_bytes({"W1": X}, {"chainrule": '{"format": "chainrule model 2"}'}))
    refused(path, "its checksums are missing")


# An architecture that was tampered with


def tampered(valid, path, change):
    tensors, architecture = parts(valid)
    changed = change(tensors, architecture)
    text = json.dumps(architecture if changed is None else changed)
    path.write_bytes(b"".join(pieces_of(tensors, {"chainrule": text})))
    return path


def put(*keys, value):
    """A change that puts a value at a place in the architecture."""

    def change(tensors, architecture):
        inside = architecture
        for key in keys[:-1]:
            inside = inside[key]
        inside[keys[-1]] = value

    change.__name__ = f"{keys} {str(value)[:40]}"
    return change


def drop(name):
    def change(tensors, architecture):
        del tensors[name]

    change.__name__ = f"without {name}"
    return change


def array(name, value):
    def change(tensors, architecture):
        tensors[name] = value

    change.__name__ = f"{name} {value.dtype}{value.shape}"
    return change


CLASS = {"$class": "Affine", "arguments": {"units": 3}}
CHANGES = [
    put("layers", 0, "$class", value="os.system"),
    put("layers", 0, "$class", value="eval"),
    put("layers", 0, "$class", value="__import__"),
    put("layers", 0, "$class", value=["Affine"]),
    put("layers", 0, "$class", value="Configured"),
    put("layers", 0, "$class", value="_Scaled"),
    put("layers", 0, "$class", value="Layer"),
    put("layers", 0, "$class", value="Loss"),
    put("layers", 0, "$class", value="He"),
    put("layers", 0, value={"$class": "Sum", "arguments": {}}),
    put("layers", 0, value="Affine"),
    put("layers", 0, value=[CLASS]),
    put("layers", 0, value={"$call": "print"}),
    put("layers", 0, value={"$class": "Affine"}),
    put("layers", 2, "arguments", value={"units": -1}),
    put("layers", 2, "arguments", value={"units": 10**30}),
    put("layers", 2, "arguments", value={"units": {"$float": "inf"}}),
    put("layers", 2, "arguments", value={"unit": 3}),
    put("layers", 2, "arguments", value={"self": 3}),
    put("layers", 2, "arguments", value={"units": 4}),
    put("layers", 2, "arguments", value={"units": 3, "weights": {"$class": "_Scaled", "arguments": {}}}),
    put("layers", 2, "arguments", value={"units": 3, "weights": {"$class": "eval", "arguments": {}}}),
    put("layers", 2, "arguments", value={"units": 3, "weights": "print"}),
    put("layers", 2, "arguments", value={"units": 3, "weights": {"$array": [[1], [1, 2]], "dtype": "f8"}}),
    put("layers", 2, "arguments", value={"units": 3, "bias": False}),
    put("layers", value=None),
    put("layers", value=[]),
    put("nodes", value=[]),
    put("nodes", 0, "kind", value="lambda"),
    put("nodes", 0, "shape", value=[0]),
    put("nodes", 0, "shape", value=[5]),
    put("nodes", 0, "shape", value=None),
    put("nodes", 0, "name", value=""),
    put("nodes", 0, "name", value=["x"]),
    put("nodes", 0, "name", value="t"),
    put("nodes", 2, "inputs", value=["nobody", "constant1"]),
    put("nodes", 2, "inputs", value=[]),
    put("nodes", 2, "layer", value=99),
    put("nodes", 2, "layer", value="0"),
    put("output", value="nobody"),
    put("output", value=["affine2"]),
    put("output", value="x"),
    put("loss", value={"$class": "Affine", "arguments": {"units": 3}}),
    put("loss", value="SoftmaxCrossEntropy"),
    put("loss", value=7),
    put("dtype", value="float16"),
    put("dtype", value="object"),
    put("dtype", value="float64"),
    put("seed", value=-1),
    put("seed", value="one"),
    put("iterations", value=-3),
    put("iterations", value="many"),
    put("iterations", value=1.5),
    put("metadata", value=3),
    lambda tensors, architecture: architecture.pop("nodes") and None,
    lambda tensors, architecture: architecture.pop("metadata") and None,
    lambda tensors, architecture: [architecture],
    drop("W1"),
    drop("b2"),
    drop("shift"),
    drop("state/running_var1"),
    drop("constant/constant1"),
    array("W1", np.zeros((4, 4), np.float32)),
    array("W1", np.zeros((4, 3))),
    array("W1", np.zeros((4, 3), np.int32)),
    array("shift", np.zeros(4, np.float32)),
    array("constant/constant1", np.zeros(())),
    array("W3", np.zeros((4, 3), np.float32)),
    array("state/running_mean1", np.zeros(2, np.float32)),
    array("state/running_mean2", np.zeros(3, np.float32)),
    array("constant/constant1", np.zeros(3)),
    array("constant/constant2", np.zeros(3)),
]


def test_the_places_that_are_changed_hold_what_is_meant(valid, tmp_path):
    _, architecture = parts(valid)
    assert architecture["layers"][2] == CLASS
    assert architecture["nodes"][0]["name"] == "x"
    assert architecture["nodes"][2]["inputs"] == ["x", "constant1"]
    cr.load(tampered(valid, tmp_path / "net", lambda tensors, architecture: None))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_tampered_architecture(valid, tmp_path, change):
    refused(tampered(valid, tmp_path / "net", change))


def test_no_code_is_run_from_a_file(valid, tmp_path, monkeypatch):
    ran = []
    for name in ("eval", "exec", "__import__", "compile", "open"):
        true = getattr(builtins, name)
        monkeypatch.setattr(
            builtins, name, lambda *a, true=true, name=name, **k: (ran.append((name, *a)), true(*a, **k))[1]
        )
    hostile = "__import__('os').system('echo ran')"
    for keys in (("layers", 0, "$class"), ("nodes", 0, "kind"), ("dtype",), ("output",), ("loss",)):
        refused(tampered(valid, tmp_path / "net", put(*keys, value=hostile)))
    assert not [each for each in ran if hostile in map(str, each)]


# Writing


def fails(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


def test_weights_that_change_while_they_are_written(tmp_path, monkeypatch):
    """The file holds those of the beginning, and its checksums are right."""
    net, write = network(0), model.write_atomically

    def changed(path, write_to):
        net.params.flat[:] += 1
        return write(path, write_to)

    before = net.params.flat.copy()
    monkeypatch.setattr(model, "write_atomically", changed)
    path = cr.save(net, tmp_path / "net")
    assert cr.load(path).params.flat.tobytes() == before.tobytes()


@pytest.mark.parametrize(("function", "number"), [("fsync", errno.ENOSPC), ("replace", errno.EACCES)])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, function, number):
    path = cr.save(network(0), tmp_path / "net")
    before = path.read_bytes()
    monkeypatch.setattr(os, function, fails(number))
    with pytest.raises(
        FileError, match=f"could not write {path}: {os.strerror(number)}; what was there before"
    ):
        cr.save(network(1), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net"]
    monkeypatch.undo()
    cr.save(network(1), path)
    assert path.read_bytes() != before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_device_that_is_full():
    with pytest.raises(FileError, match=r"could not write /dev/full: No space left"):
        cr.save(network(), "/dev/full")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path):
    path = cr.save(network(0), tmp_path / "net")
    before = path.read_bytes()
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(FileError, match="could not write"):
            cr.save(network(1), path)
        assert path.read_bytes() == before
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_places_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path, tmp_path / "no" / "net", tmp_path / "file" / "net", tmp_path / ("x" * 300)):
        with pytest.raises(FileError, match="could not write"):
            cr.save(network(), path)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"
