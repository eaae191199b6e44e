#!/usr/bin/python3
"""Writes tests/golden/mae_grey.safetensors: a masked autoencoder on grey pictures, written here in
PyTorch from the paper (He et al. 2021), since the authors' own code takes colour only.

    /usr/bin/python3 tests/golden/make_golden_mae.py [FOLDER]        (Debian: python3-torch)

Names, outputs and gradients are those of golden.h. Computed in float64, stored as F32 (I64 for
indices)."""
import json
import math
import os
import struct
import sys

import torch
import torch.nn.functional as F

CONFIG = dict(img_size=20, patch_size=4, in_chans=1, embed_dim=24, depth=3, num_heads=3,
              decoder_embed_dim=16, decoder_depth=2, decoder_num_heads=2, mlp_ratio=2.5,
              norm_pix_loss=False, mask_ratio=0.6, layer_norm_eps=1e-6)
PICTURES = 3


def save_safetensors(path, tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    parts = []
    for name, t in tensors.items():
        whole = not t.is_floating_point()
        data = t.detach().contiguous().numpy().astype("<i8" if whole else "<f4").tobytes()
        header[name] = {"dtype": "I64" if whole else "F32", "shape": list(t.shape),
                        "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def positions(grid, width):
    """Row 1 + line * grid + column: sines and cosines of the column, then of the line."""
    table = torch.zeros(1 + grid * grid, width, dtype=torch.float64)
    omega = 10000 ** -(torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    for line in range(grid):
        for column in range(grid):
            a, b = column * omega, line * omega
            table[1 + line * grid + column] = torch.cat([a.sin(), a.cos(), b.sin(), b.cos()])
    return table[None]


def parameter_shapes(c):
    d, e, k = c["embed_dim"], c["decoder_embed_dim"], c["patch_size"]
    shapes = {"cls_token": (1, 1, d), "mask_token": (1, 1, e),
              "patch_embed.proj.weight": (d, c["in_chans"], k, k), "patch_embed.proj.bias": (d,)}
    for prefix, depth, w in (("blocks", c["depth"], d), ("decoder_blocks", c["decoder_depth"], e)):
        hidden = int(w * c["mlp_ratio"])
        for i in range(depth):
            for layer, shape in (("norm1", (w,)), ("attn.qkv", (3 * w, w)), ("attn.proj", (w, w)),
                                 ("norm2", (w,)), ("mlp.fc1", (hidden, w)), ("mlp.fc2", (w, hidden))):
                shapes[f"{prefix}.{i}.{layer}.weight"] = shape
                shapes[f"{prefix}.{i}.{layer}.bias"] = shape[:1]
    for layer, shape in (("norm", (d,)), ("decoder_embed", (e, d)), ("decoder_norm", (e,)),
                         ("decoder_pred", (k * k * c["in_chans"], e))):
        shapes[layer + ".weight"], shapes[layer + ".bias"] = shape, shape[:1]
    return shapes


def block(p, prefix, x, heads, eps):
    def layer(name, h):
        return F.linear(h, p[f"{prefix}.{name}.weight"], p[f"{prefix}.{name}.bias"])

    def norm(name, h):
        return F.layer_norm(h, h.shape[-1:], p[f"{prefix}.{name}.weight"],
                            p[f"{prefix}.{name}.bias"], eps)

    b, n, w = x.shape
    q, k, v = (t.reshape(b, n, heads, -1).transpose(1, 2)
               for t in layer("attn.qkv", norm("norm1", x)).split(w, -1))
    weights = (q @ k.transpose(-1, -2) / math.sqrt(w // heads)).softmax(-1)
    x = x + layer("attn.proj", (weights @ v).transpose(1, 2).reshape(b, n, w))
    return x + layer("mlp.fc2", F.gelu(layer("mlp.fc1", norm("norm2", x))))


def patches_of(x, k):
    """(B,C,H,W) -> (B,N,k*k*C), channels innermost"""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // k, k, w // k, k).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(b, (h // k) * (w // k), k * k * c)


def run(p, c, images, noise):
    k, n, eps = c["patch_size"], noise.shape[1], c["layer_norm_eps"]
    keep = int(n * (1 - c["mask_ratio"]))
    shuffle = noise.argsort(1)
    restore = shuffle.argsort(1)
    x = F.conv2d(images, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=k)
    x = x.flatten(2).transpose(1, 2) + p["pos_embed"][:, 1:]
    x = torch.stack([x[i, shuffle[i, :keep]] for i in range(len(x))])
    cls = (p["cls_token"] + p["pos_embed"][:, :1]).expand(len(x), -1, -1)
    x = torch.cat([cls, x], 1)
    for i in range(c["depth"]):
        x = block(p, f"blocks.{i}", x, c["num_heads"], eps)
    latent = F.layer_norm(x, x.shape[-1:], p["norm.weight"], p["norm.bias"], eps)

    x = F.linear(latent, p["decoder_embed.weight"], p["decoder_embed.bias"])
    rows = []
    for i in range(len(x)):             # each patch's token where the patch is, or the mask token
        at = [x[i, 0]] + [x[i, 1 + r] if r < keep else p["mask_token"][0, 0] for r in restore[i]]
        rows.append(torch.stack(at))
    x = torch.stack(rows) + p["decoder_pos_embed"]
    for i in range(c["decoder_depth"]):
        x = block(p, f"decoder_blocks.{i}", x, c["decoder_num_heads"], eps)
    x = F.layer_norm(x, x.shape[-1:], p["decoder_norm.weight"], p["decoder_norm.bias"], eps)
    prediction = F.linear(x, p["decoder_pred.weight"], p["decoder_pred.bias"])[:, 1:]

    mask = (restore >= keep).to(torch.float64)
    target = patches_of(images, k)
    loss = (((prediction - target) ** 2).mean(-1) * mask).sum() / mask.sum()
    return dict(main=loss, pred=prediction, mask=mask, latent=latent, ids_restore=restore,
                target_patches=target)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    c, g = CONFIG, torch.Generator().manual_seed(20)
    normal = lambda *shape: torch.randn(shape, generator=g, dtype=torch.float64).float().double()
    p = {}
    for name, shape in parameter_shapes(c).items():
        gain = "norm" in name and name.endswith("weight")
        scale = 0.2 if len(shape) == 1 or "token" in name else (shape[-1] * 1.0) ** -0.5
        p[name] = (normal(*shape) * scale + gain).float().double().requires_grad_()
    grid = c["img_size"] // c["patch_size"]
    for name, width in (("pos_embed", "embed_dim"), ("decoder_pos_embed", "decoder_embed_dim")):
        p[name] = positions(grid, c[width]).float().double()
    images = normal(PICTURES, c["in_chans"], c["img_size"], c["img_size"]).requires_grad_()
    noise = torch.rand(PICTURES, grid * grid, generator=g).double()
    cotangent = torch.tensor(0.7).double()
    out = run(p, c, images, noise)
    total = out["main"] * cotangent
    total.backward()

    tensors = {f"weight.{k}": t for k, t in p.items()}
    tensors.update({"in.imgs": images, "in.mask_noise": noise, "in.cotangent": cotangent})
    tensors.update({f"out.{k}": t for k, t in out.items()})
    tensors["out.L"] = total
    tensors.update({f"grad.{k}": t.grad for k, t in p.items() if t.requires_grad})
    tensors["grad.in.imgs"] = images.grad
    save_safetensors(os.path.join(folder, "mae_grey.safetensors"), tensors,
                     {"model": "mae", "config": json.dumps(c),
                      "source": "tests/golden/make_golden_mae.py", "torch": torch.__version__})


main()
