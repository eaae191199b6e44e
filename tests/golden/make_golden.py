#!/usr/bin/python3
"""Writes the golden values that tests/test_golden.c compares the library with.

    /usr/bin/python3 tests/golden/make_golden.py [FOLDER]        (Debian: python3-torch)

Each file holds the cases of one family as `case.tensor`: inputs and weights in PyTorch's layout
(images channels first, linear (out,in), convolutions (out,in,kh,kw)), the output `y`, a random
cotangent `dy`, and for each input or weight `t` the gradient `dt` of sum(y * dy).

Everything is computed in float64 and stored as F64, targets and masks too, so that a reader has to
know one type. A case is seeded by its own name: a new case leaves the others as they were."""
import json
import os
import struct
import sys
import zlib

import torch
import torch.nn.functional as F

FILES = {}


def save_safetensors(path, tensors):
    """The format: u64 length of a JSON header, the header, then the data, little endian."""
    header, offset = {}, 0
    for name, t in tensors.items():
        size = 8 * t.numel()
        shape, end = list(t.shape), offset + size
        header[name] = {"dtype": "F64", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data is aligned
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.detach().contiguous().numpy().astype("<f8").tobytes())


class Case:
    """One case of a family: makes its inputs, then runs the backward pass and stores it all."""

    def __init__(self, family, name):
        self.tensors = FILES.setdefault(family, {})
        self.name = name
        self.leaves = {}
        self.generator = torch.Generator().manual_seed(zlib.crc32(f"{family}.{name}".encode()))

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def integers(self, low, high, *shape):
        return torch.randint(low, high, shape, generator=self.generator)

    def store(self, key, tensor):
        self.tensors[f"{self.name}.{key}"] = tensor.detach().to(torch.float64).clone()
        return tensor

    def leaf(self, key, *shape, scale=1.0, shift=0.0):
        """A normal tensor whose gradient is wanted."""
        t = (shift + scale * self.normal(*shape)).requires_grad_()
        self.leaves[key] = t
        return self.store(key, t)

    def finish(self, y):
        self.store("y", y)
        (y * self.store("dy", self.normal(*y.shape))).sum().backward()
        for key, t in self.leaves.items():
            self.store("d" + key, t.grad)


# ---- layers ----------------------------------------------------------------------------------


def linear():
    c = Case("linear", "bias")
    c.finish(F.linear(c.leaf("x", 3, 4, 5), c.leaf("w", 7, 5), c.leaf("b", 7)))
    c = Case("linear", "no_bias")
    c.finish(F.linear(c.leaf("x", 6, 9), c.leaf("w", 2, 9)))
    c = Case("linear", "matmul")
    c.finish(c.leaf("x", 2, 3, 5) @ c.leaf("v", 2, 5, 4))
    c = Case("linear", "matmul_transposed")
    c.finish(c.leaf("x", 2, 3, 5) @ c.leaf("v", 2, 4, 5).transpose(1, 2))
    c = Case("linear", "embedding")
    index = c.store("index", torch.tensor([4, 0, 4, 2, 5, 4]))  # row 4: gradients add up
    c.finish(F.embedding(index, c.leaf("w", 6, 5)))


def conv(name, x_shape, out, kernel, stride=1, pad=(0, 0, 0, 0)):
    """pad: left, right, top, bottom, as F.pad has it"""
    c = Case("conv", name)
    x, w, b = c.leaf("x", *x_shape), c.leaf("w", out, x_shape[1], kernel, kernel), c.leaf("b", out)
    c.finish(F.conv2d(F.pad(x, pad), w, b, stride=stride))


def conv_transpose(name, x_shape, out, kernel, stride, pad):
    c = Case("conv", name)
    x, w, b = c.leaf("x", *x_shape), c.leaf("w", x_shape[1], out, kernel, kernel), c.leaf("b", out)
    c.finish(F.conv_transpose2d(x, w, b, stride=stride, padding=pad))


def convolutions():
    conv("k3", (2, 4, 6, 5), 5, 3, pad=(1, 1, 1, 1))
    conv("k3_valid", (1, 2, 5, 6), 3, 3)
    conv("k3_stride2", (2, 3, 7, 6), 4, 3, stride=2, pad=(1, 1, 1, 1))
    conv("k3_stride2_right_bottom", (2, 3, 6, 8), 4, 3, stride=2, pad=(0, 1, 0, 1))
    conv("k1", (2, 5, 3, 4), 6, 1)
    conv("k5_one_channel", (2, 1, 8, 7), 3, 5, pad=(2, 2, 2, 2))
    conv("k4_stride2_three_channels", (1, 3, 8, 8), 4, 4, stride=2, pad=(1, 1, 1, 1))
    conv("k3_to_one_channel", (1, 17, 4, 4), 1, 3, pad=(1, 1, 1, 1))
    conv_transpose("up_k4_stride2", (2, 5, 3, 4), 3, 4, 2, 1)
    conv_transpose("up_k5", (1, 3, 4, 5), 2, 5, 1, 2)
    conv_transpose("up_k3", (2, 4, 4, 3), 5, 3, 1, 1)
    c = Case("conv", "upsample")
    c.finish(F.interpolate(c.leaf("x", 2, 3, 3, 4), scale_factor=2, mode="nearest"))
    c = Case("conv", "avg_pool")
    c.finish(F.avg_pool2d(c.leaf("x", 2, 3, 4, 6), 2))
    c = Case("conv", "max_pool")
    c.finish(F.max_pool2d(c.leaf("x", 2, 3, 4, 6), 2))


def norms():
    for name, channels, groups in (("group", 12, 4), ("group_one", 6, 1), ("group_each", 5, 5)):
        for silu in (False, True):
            c = Case("norm", name + ("_silu" if silu else ""))
            x = c.leaf("x", 2, channels, 3, 4, shift=0.5)
            y = F.group_norm(x, groups, c.leaf("w", channels), c.leaf("b", channels), 1e-5)
            c.finish(F.silu(y) if silu else y)
    c = Case("norm", "layer")
    x = c.leaf("x", 2, 3, 10, shift=-1)
    c.finish(F.layer_norm(x, (10,), c.leaf("w", 10), c.leaf("b", 10), 1e-6))
    for name, training in (("batch_train", True), ("batch_eval", False)):
        c = Case("norm", name)
        mean, var = c.store("mean", c.normal(6)), c.store("var", c.normal(6).abs() + 0.5)
        mean, var = mean.clone(), var.clone()
        x, w, b = c.leaf("x", 3, 6, 2, 4, shift=2), c.leaf("w", 6), c.leaf("b", 6)
        y = F.batch_norm(x, mean, var, w, b, training, momentum=0.1, eps=1e-5)
        c.store("mean_after", mean)
        c.store("var_after", var)
        c.finish(y)


def self_attention(name, mask=None, per_item=False):
    """mask: true where a token may attend; PyTorch's own masks say the opposite"""
    c = Case("attention", name)
    batch, tokens, channels, heads = 2, 5, 12, 3
    x = c.leaf("x", batch, tokens, channels)
    qkv_w, qkv_b = c.leaf("qkv_w", 3 * channels, channels, scale=0.4), c.leaf("qkv_b", 3 * channels)
    out_w, out_b = c.leaf("out_w", channels, channels, scale=0.4), c.leaf("out_b", channels)
    if mask is not None:
        mask = ~c.store("mask", mask(c)).bool()
        if per_item:
            mask = mask.repeat_interleave(heads, 0)
    t = x.transpose(0, 1)
    y, _ = F.multi_head_attention_forward(t, t, t, channels, heads, qkv_w, qkv_b, None, None, False,
                                          0.0, out_w, out_b, attn_mask=mask)
    c.finish(y.transpose(0, 1))


def cross_attention():
    c = Case("attention", "cross")
    channels, context, heads = 8, 6, 2
    x, z = c.leaf("x", 2, 7, channels), c.leaf("context", 2, 3, context)
    sizes = zip("qkv", (channels, context, context))
    w = [c.leaf(k + "_w", channels, n, scale=0.4) for k, n in sizes]
    b = torch.cat([c.leaf(k + "_b", channels) for k in "qkv"])
    out_w, out_b = c.leaf("out_w", channels, channels, scale=0.4), c.leaf("out_b", channels)
    t = z.transpose(0, 1)
    y, _ = F.multi_head_attention_forward(
        x.transpose(0, 1), t, t, channels, heads, None, b, None, None, False, 0.0, out_w, out_b,
        use_separate_proj_weight=True, q_proj_weight=w[0], k_proj_weight=w[1], v_proj_weight=w[2])
    c.finish(y.transpose(0, 1))


def attention():
    def random_mask(*shape):
        # a token always sees itself: a row that sees nothing is NaN in PyTorch
        return lambda c: (c.integers(0, 2, *shape) + torch.eye(shape[-1])) > 0

    self_attention("full")
    self_attention("causal", lambda c: torch.ones(5, 5).tril() > 0)
    self_attention("masked", random_mask(5, 5))
    self_attention("masked_per_item", random_mask(2, 5, 5), per_item=True)
    cross_attention()


# ---- functions and losses --------------------------------------------------------------------


def functions():
    table = {
        "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
        "elu": F.elu, "softplus": lambda x: F.softplus(x, threshold=1e9), "sigmoid": torch.sigmoid,
        "tanh": torch.tanh, "relu": F.relu, "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
        "exp": torch.exp, "softmax": lambda x: F.softmax(x, -1),
        "log_softmax": lambda x: F.log_softmax(x, -1),
    }
    for name, f in table.items():
        c = Case("functions", name)
        c.finish(f(c.leaf("x", 3, 37, scale=3)))


def losses():
    c = Case("losses", "cross_entropy")
    target = c.store("target", torch.tensor([2, -1, 0, 6, -1, 6, 3, 1]))  # -1: left out
    c.finish(F.cross_entropy(c.leaf("x", 8, 7, scale=2), target, ignore_index=-1).reshape(1))
    c = Case("losses", "bce_logits")
    target = c.store("target", torch.rand((4, 6), generator=c.generator, dtype=torch.float64))
    x = c.leaf("x", 4, 6, scale=4)
    c.finish(F.binary_cross_entropy_with_logits(x, target).reshape(1))
    c = Case("losses", "mse")
    c.finish(F.mse_loss(c.leaf("x", 3, 5, 2), c.leaf("z", 3, 5, 2)).reshape(1))
    c = Case("losses", "l1")
    c.finish(F.l1_loss(c.leaf("x", 3, 5, 2), c.leaf("z", 3, 5, 2)).reshape(1))


# ---- training --------------------------------------------------------------------------------


def optimiser(name, make):
    """Ten steps with given gradients: weights after each of them."""
    c = Case("optim", name)
    w, b = c.normal(4, 5), c.normal(5)
    c.store("w", w), c.store("b", b)
    dw, db = c.store("dw", c.normal(10, 4, 5)), c.store("db", c.normal(10, 5))
    w, b = w.clone().requires_grad_(), b.clone().requires_grad_()
    o, after_w, after_b = make(w, b), [], []
    for i in range(10):
        w.grad, b.grad = dw[i].clone(), db[i].clone()
        o.step()
        after_w.append(w.detach().clone())
        after_b.append(b.detach().clone())
    c.store("w_after", torch.stack(after_w))
    c.store("b_after", torch.stack(after_b))


def clipping(name, size):
    c = Case("optim", name)
    w, b = c.normal(4, 5).requires_grad_(), c.normal(5).requires_grad_()
    w.grad, b.grad = c.store("dw", size * c.normal(4, 5)), c.store("db", size * c.normal(5))
    w.grad, b.grad = w.grad.clone(), b.grad.clone()
    c.store("norm", torch.nn.utils.clip_grad_norm_([w, b], 1.0).reshape(1))
    c.store("dw_after", w.grad)
    c.store("db_after", b.grad)


def optimisers():
    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
    optimiser("sgd", lambda w, b: sgd([w, b], lr=0.1))
    optimiser("sgd_momentum", lambda w, b: sgd([w, b], lr=0.05, momentum=0.9, weight_decay=0.1))
    optimiser("adam", lambda w, b: adam([w, b], lr=0.03, betas=(0.9, 0.999), eps=1e-8))
    optimiser("adam_gan", lambda w, b: adam([w, b], lr=0.03, betas=(0.5, 0.999), eps=1e-6))
    optimiser("adamw", lambda w, b: adamw([w, b], lr=0.03, betas=(0.9, 0.96), weight_decay=0.5))
    optimiser("adamw_matrices", lambda w, b: adamw(
        [{"params": [w]}, {"params": [b], "weight_decay": 0.0}], lr=0.03, weight_decay=0.5))
    clipping("clip_large", 3.0)
    clipping("clip_small", 0.01)


def network():
    """Ten training losses: conv, group norm, silu, attention, linear; AdamW and clipping."""
    c = Case("network", "train")
    p = {k: c.leaf(k, *shape, scale=scale, shift=shift) for k, shape, scale, shift in (
        ("conv_w", (8, 3, 3, 3), 0.3, 0), ("conv_b", (8,), 0.1, 0), ("norm_w", (8,), 0.1, 1),
        ("norm_b", (8,), 0.1, 0), ("qkv_w", (24, 8), 0.4, 0), ("out_w", (8, 8), 0.3, 0),
        ("out_b", (8,), 0.1, 0), ("head_w", (5, 8), 0.4, 0), ("head_b", (5,), 0.1, 0))}
    x = c.store("x", c.normal(4, 3, 6, 6))
    target = c.store("target", c.integers(0, 5, 4))

    def loss():
        h = F.conv2d(x, p["conv_w"], p["conv_b"], stride=2, padding=1)
        h = F.silu(F.group_norm(h, 4, p["norm_w"], p["norm_b"], 1e-5))
        h = h.flatten(2).transpose(1, 2)  # (B,N,C)
        qkv = F.linear(h, p["qkv_w"]).chunk(3, -1)
        q, k, v = (t.reshape(4, 9, 2, 4).transpose(1, 2) for t in qkv)
        a = F.softmax(q @ k.transpose(2, 3) / 2.0, -1) @ v
        h = h + F.linear(a.transpose(1, 2).reshape(4, 9, 8), p["out_w"], p["out_b"])
        return F.cross_entropy(F.linear(h.mean(1), p["head_w"], p["head_b"]), target)

    o, losses_, norms_ = torch.optim.AdamW(p.values(), lr=0.02, weight_decay=0.1), [], []
    for _ in range(10):
        o.zero_grad()
        value = loss()
        value.backward()
        norms_.append(torch.nn.utils.clip_grad_norm_(p.values(), 0.5))
        losses_.append(value.detach())
        o.step()
    c.store("losses", torch.stack(losses_))
    c.store("norms", torch.stack(norms_))
    print("losses", " ".join(f"{v:.6f}" for v in losses_))
    print("norms ", " ".join(f"{v:.6f}" for v in norms_))


def main():
    torch.set_num_threads(1)
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for family in (linear, convolutions, norms, attention, functions, losses, optimisers, network):
        family()
    for name, tensors in FILES.items():
        save_safetensors(os.path.join(folder, name + ".safetensors"), tensors)


if __name__ == "__main__":
    main()
