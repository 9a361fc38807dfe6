import torch

from tests.plm.toy_esm2 import random_weights, toy


def test_values_stay_within_their_tensor_and_change_places():
    plm = toy()
    control = plm.shuffled()
    for name, value in plm.weights().items():
        other = control.weights()[name]
        torch.testing.assert_close(
            other.flatten().sort().values, value.flatten().sort().values, rtol=0, atol=0
        )
        assert not torch.equal(other, value), name
    for name, value in random_weights().items():
        torch.testing.assert_close(plm.weights()[name], value, rtol=0, atol=0)


def test_it_is_seeded_and_says_what_it_is():
    plm = toy()
    first, again, other = plm.shuffled(), plm.shuffled(), plm.shuffled(seed=1)
    assert first.name == "toy-shuffled-42" and other.name == "toy-shuffled-1"
    assert (
        len({plm.revision, first.revision, other.revision}) == 3
        and first.revision == again.revision
    )
    assert all(torch.equal(v, again.weights()[k]) for k, v in first.weights().items())
    assert not torch.equal(
        first.weights()["layers.0.fc1.weight"], other.weights()["layers.0.fc1.weight"]
    )


def test_another_dtype_is_shuffled_alike():
    half = toy(dtype="bfloat16").shuffled()
    whole = toy().shuffled()
    assert half.revision == whole.revision
    assert all(torch.equal(v, whole.weights()[k].bfloat16()) for k, v in half.weights().items())


def test_it_runs():
    control = toy().shuffled()
    tokens = control.tokens(["MKTAY"])
    assert not torch.allclose(
        control.forward(tokens, [2]).representations[2],
        toy().forward(tokens, [2]).representations[2],
    )
