"""The networks of nets_*.c in PyTorch, layer by layer under the same names; started by bench_steps.

    torch_steps.py worker NET BATCH THREADS LAYOUT       runs steps when told to on its input
    torch_steps.py check NET BATCH FILE STEPS EPS LAYOUT reads weights and batch from FILE
    torch_steps.py export NET BATCH MODEL [FILE]         a sampling step for onnx_steps.js: the graph
                                                         to MODEL, what goes in to MODEL.json

LAYOUT is contiguous or channels_last. Everything is float32 and eager, as one writes it, with the
faster choice wherever there are two: losses on logits, gradients set to None rather than zeroed,
fused attention and fused Adam where this PyTorch has them for the CPU."""

import collections
import ctypes
import math
import os
import re
import struct
import sys
import time


def resident_peak():
    """MB"""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024
    return math.nan


try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    sys.exit(3)
IMPORT_PEAK = resident_peak()


# ---- optimiser and data ---------------------------------------------------------------------

EPS = 1e-8                                   # of Adam


def adam(parameters, lr, beta1=0.9, beta2=0.999, decay=0.0):
    """AdamW that spares biases, gains and shifts; without decay it is Adam."""
    parameters = list(parameters)
    groups = [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
              {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0}]
    make = torch.optim.AdamW if decay else torch.optim.Adam
    options = {"lr": lr, "betas": (beta1, beta2), "eps": EPS}
    version = tuple(int(n) for n in torch.__version__.split(".")[:2])
    if version >= (2, 4):                    # before, fused steps were for GPUs alone
        options["fused"] = True
    return make([g for g in groups if g["params"]], **options)


class Data:
    """What goes in: from a file under input.NAME, or drawn. Images are (B,C,H,W)."""

    def __init__(self, file, layout):
        self.file, self.layout = file, layout
        self.generator = torch.Generator().manual_seed(7)

    def uniform(self, name, low, high, *shape):
        if self.file:
            return self.file["input." + name].reshape(shape)
        return torch.rand(shape, generator=self.generator) * (high - low) + low

    def normal(self, name, *shape):
        if self.file:
            return self.file["input." + name].reshape(shape)
        return torch.randn(shape, generator=self.generator)

    def index(self, name, below, *shape):
        if self.file:
            return self.file["input." + name].reshape(shape).long()
        return torch.randint(below, shape, generator=self.generator)

    def pictures(self, name, batch, side, channels):
        """of several channels, which lie side by side in the file"""
        x = self.uniform(name, -1, 1, batch, side, side, channels)
        return x.permute(0, 3, 1, 2).contiguous(memory_format=self.layout)

    def image(self, name, low, high, *shape):
        x = self.uniform(name, low, high, *shape)
        return x.contiguous(memory_format=self.layout)   # one channel: the same bytes either way


def descend(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


# ---- VAE ------------------------------------------------------------------------------------

class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def forward(self, x, eps):
        h = F.relu(self.fc1(x))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + eps * torch.exp(0.5 * logvar)
        return self.fc4(F.relu(self.fc3(z))), mu, logvar


class VaeTraining:
    def __init__(self, batch, data):
        self.net = Vae()
        self.optimizer = adam(self.net.parameters(), 1e-3)
        self.images = data.uniform("images", 0, 1, batch, 784)
        self.eps = data.normal("eps", batch, 20)

    def step(self):
        logits, mu, logvar = self.net(self.images, self.eps)
        bce = F.binary_cross_entropy_with_logits(logits, self.images, reduction="sum")
        kl = 0.5 * torch.sum(mu * mu + logvar.exp() - 1 - logvar)
        return descend(self.optimizer, bce + kl)


# ---- DCGAN ----------------------------------------------------------------------------------

def with_label(x, label):
    if x.dim() == 4:
        label = label[:, :, None, None].expand(-1, -1, x.shape[2], x.shape[3])
    return torch.cat([x, label], 1)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(110, 1024, bias=False)
        self.norm1 = nn.BatchNorm1d(1024, affine=False)
        self.fc2 = nn.Linear(1034, 7 * 7 * 128, bias=False)
        self.norm2 = nn.BatchNorm1d(7 * 7 * 128, affine=False)
        self.deconv1 = nn.ConvTranspose2d(138, 64, 5, 2, 2, output_padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(64, affine=False)
        self.deconv2 = nn.ConvTranspose2d(74, 1, 5, 2, 2, output_padding=1, bias=False)

    def forward(self, z, label):
        h = F.relu(self.norm1(self.fc1(with_label(z, label))))
        h = F.relu(self.norm2(self.fc2(with_label(h, label))))
        h = h.view(-1, 7, 7, 128).permute(0, 3, 1, 2)      # features in the order of nets_dcgan.c
        h = F.relu(self.norm3(self.deconv1(with_label(h, label))))
        return self.deconv2(with_label(h, label))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(11, 64, 5, 2, 2, bias=False)
        self.conv2 = nn.Conv2d(74, 128, 5, 2, 2, bias=False)
        self.norm2 = nn.BatchNorm2d(128, affine=False)
        self.fc1 = nn.Linear(7 * 7 * 128 + 10, 1024, bias=False)
        self.norm3 = nn.BatchNorm1d(1024, affine=False)
        self.fc2 = nn.Linear(1034, 1, bias=False)

    def forward(self, x, label):
        h = F.leaky_relu(self.conv1(with_label(x, label)), 0.2)
        h = F.leaky_relu(self.norm2(self.conv2(with_label(h, label))), 0.2)
        h = h.permute(0, 2, 3, 1).flatten(1)
        h = F.leaky_relu(self.norm3(self.fc1(with_label(h, label))), 0.2)
        return self.fc2(with_label(h, label))


class DcganTraining:
    def __init__(self, batch, data):
        self.net = nn.ModuleDict({"g": Generator(), "d": Discriminator()})
        self.g, self.d = self.net["g"], self.net["d"]
        self.adam_g = adam(self.g.parameters(), 2e-4, beta1=0.5)
        self.adam_d = adam(self.d.parameters(), 2e-4, beta1=0.5)
        self.images = data.image("images", 0, 1, batch, 1, 28, 28)
        self.z = data.uniform("z", -1, 1, batch, 100)
        self.label = F.one_hot(torch.arange(batch) % 10, 10).float()

    def step(self):
        fake = torch.sigmoid(self.g(self.z, self.label))
        loss_d = (F.softplus(-self.d(self.images, self.label)).mean() +
                  F.softplus(self.d(fake.detach(), self.label)).mean())
        loss_d = descend(self.adam_d, loss_d)
        self.d.requires_grad_(False)
        loss_g = F.softplus(-self.d(fake, self.label)).mean()
        loss_g = descend(self.adam_g, loss_g)
        self.d.requires_grad_(True)
        return loss_d + loss_g


# ---- VQ-VAE ---------------------------------------------------------------------------------

class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(128, 32, 3, 1, 1)
        self.conv2 = nn.Conv2d(32, 128, 1)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 4, 2, 1)
        self.conv2 = nn.Conv2d(64, 128, 4, 2, 1)
        self.conv3 = nn.Conv2d(128, 128, 3, 1, 1)
        self.residual = nn.Sequential(Residual(), Residual())
        self.to_code = nn.Conv2d(128, 64, 1)

    def forward(self, x):
        h = F.relu(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))))
        return self.to_code(F.relu(self.residual(h)))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(64, 128, 3, 1, 1)
        self.residual = nn.Sequential(Residual(), Residual())
        self.deconv1 = nn.ConvTranspose2d(128, 64, 4, 2, 1)
        self.deconv2 = nn.ConvTranspose2d(64, 1, 4, 2, 1)

    def forward(self, z):
        h = F.relu(self.residual(self.conv1(z)))
        return self.deconv2(F.relu(self.deconv1(h)))


class Codebook(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("embed", (torch.rand(512, 64) * 2 - 1) * math.sqrt(3 / 64))
        self.register_buffer("count", torch.zeros(512))
        self.register_buffer("sum", torch.zeros(512, 64))
        self.step = 0

    def nearest(self, rows):
        distance = torch.addmm((self.embed * self.embed).sum(1), rows, self.embed.t(), alpha=-2)
        return distance.argmin(1)

    def update(self, rows, index, decay=0.99, smoothing=1e-5):
        self.step += 1
        self.count.mul_(decay).add_(torch.bincount(index, minlength=512), alpha=1 - decay)
        self.sum.mul_(decay).index_add_(0, index, rows, alpha=1 - decay)
        debias = 1 - decay ** self.step
        count = self.count / debias
        total = count.sum()
        smooth = (count + smoothing) / (total + 512 * smoothing) * total
        self.embed.copy_(self.sum / debias / smooth[:, None])


class VqVaeTraining:
    def __init__(self, batch, data):
        self.net = nn.ModuleDict(
            {"encoder": Encoder(), "decoder": Decoder(), "codebook": Codebook()})
        self.optimizer = adam(self.net.parameters(), 3e-4)
        self.images = data.image("images", -0.5, 0.5, batch, 1, 28, 28)

    def step(self):
        codebook = self.net["codebook"]
        z = self.net["encoder"](self.images)
        with torch.no_grad():
            rows = z.detach().permute(0, 2, 3, 1).reshape(-1, 64)
            index = codebook.nearest(rows)
            codes = codebook.embed[index].view(z.shape[0], 7, 7, 64).permute(0, 3, 1, 2)
        y = self.net["decoder"](z + (codes - z).detach())
        loss = F.mse_loss(y, self.images) * 12 + 0.25 * F.mse_loss(z, codes)
        loss = descend(self.optimizer, loss)
        with torch.no_grad():
            codebook.update(rows, index)
        return loss


# ---- transformers ---------------------------------------------------------------------------

def attend(q, k, v, causal=False):
    """(B,heads,N,d) each; PyTorch 1 has no public fused attention."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if causal:
        n = q.shape[2]
        future = torch.ones(n, n, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(future, -math.inf)
    return scores.softmax(-1) @ v


class SelfAttention(nn.Module):
    def __init__(self, channels, heads, causal=False, qkv_bias=True):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.out = nn.Linear(channels, channels)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = attend(q, k, v, self.causal)
        return self.out(y.transpose(1, 2).reshape(b, n, c))


class Mlp(nn.Module):
    def __init__(self, channels, gelu):
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)
        self.gelu = gelu

    def forward(self, x):
        h = self.fc1(x)
        if self.gelu == "quick":
            return self.fc2(h * torch.sigmoid(1.702 * h))
        return self.fc2(F.gelu(h, approximate=self.gelu))


class Block(nn.Module):
    def __init__(self, channels, heads, eps, causal=False, gelu="none"):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps)
        self.attn = SelfAttention(channels, heads, causal)
        self.norm2 = nn.LayerNorm(channels, eps)
        self.mlp = Mlp(channels, gelu)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(512, 256)
        self.positions = nn.Embedding(96, 256)
        self.block = nn.Sequential(*[Block(256, 8, 1e-5, True, "tanh") for _ in range(4)])
        self.norm = nn.LayerNorm(256, 1e-5)
        self.head = nn.Linear(256, 512, bias=False)

    def forward(self, text):
        x = self.tokens(text) + self.positions.weight
        return self.head(self.norm(self.block(x)))


class GptTraining:
    def __init__(self, batch, data):
        self.net = Gpt()
        self.optimizer = adam(self.net.parameters(), 3e-4, 0.9, 0.95, 0.1)
        self.text = data.index("text", 512, batch, 96)
        self.next = data.index("next", 512, batch, 96)

    def step(self):
        logits = self.net(self.text)
        return descend(self.optimizer, F.cross_entropy(logits.view(-1, 512), self.next.view(-1)))


def position_table():
    """(49,192): sine and cosine of the column in the first half, of the row in the second"""
    frequency = 1e-4 ** (torch.arange(48, dtype=torch.float64) / 48)
    p = torch.arange(49, dtype=torch.float64)[:, None]
    column, row = p % 7 * frequency, torch.div(p, 7, rounding_mode="floor") * frequency
    return torch.cat([column.sin(), column.cos(), row.sin(), row.cos()], 1).float()


class Mae(nn.Module):
    """The steps of facebookresearch/mae's forward pass, in its order."""

    def __init__(self, positions):
        super().__init__()
        self.embed = nn.Conv2d(1, 192, 4, 4)
        self.class_token = nn.Parameter(torch.randn(1, 192) * 0.02)
        self.mask_token = nn.Parameter(torch.randn(1, 192) * 0.02)
        self.encoder = nn.Sequential(*[Block(192, 3, 1e-6) for _ in range(6)])
        self.encoder_norm = nn.LayerNorm(192, 1e-6)
        self.to_decoder = nn.Linear(192, 192)
        self.decoder = nn.Sequential(*[Block(192, 3, 1e-6) for _ in range(2)])
        self.decoder_norm = nn.LayerNorm(192, 1e-6)
        self.to_pixels = nn.Linear(192, 16)
        self.positions = positions
        self.decoder_positions = torch.cat([torch.zeros(1, 192), positions])

    def forward(self, images, keep, restore):
        b = images.shape[0]
        x = self.embed(images).flatten(2).transpose(1, 2) + self.positions
        x = torch.gather(x, 1, keep[:, :, None].expand(-1, -1, 192))
        x = torch.cat([self.class_token.expand(b, 1, -1), x], 1)
        x = self.to_decoder(self.encoder_norm(self.encoder(x)))
        hidden = self.mask_token.expand(b, 37, -1)
        patches = torch.cat([x[:, 1:], hidden], 1)
        patches = torch.gather(patches, 1, restore[:, :, None].expand(-1, -1, 192))
        x = torch.cat([x[:, :1], patches], 1) + self.decoder_positions
        return self.to_pixels(self.decoder_norm(self.decoder(x)))[:, 1:]


class MaeTraining:
    def __init__(self, batch, data):
        positions = data.uniform("positions", 0, 0, 49, 192) if data.file else position_table()
        self.net = Mae(positions)
        self.optimizer = adam(self.net.parameters(), 1e-3, 0.9, 0.95, 0.05)
        self.images = data.image("images", 0, 1, batch, 1, 28, 28)
        if data.file:
            order = data.index("order", 49, batch, 49)
        else:
            order = torch.rand(batch, 49, generator=data.generator).argsort(1)
        self.keep, self.restore = order[:, :12], order.argsort(1)
        self.mask = (self.restore >= 12).float()

    def step(self):
        y = self.net(self.images, self.keep, self.restore)
        target = self.images.view(-1, 7, 4, 7, 4).permute(0, 1, 3, 2, 4).reshape(-1, 49, 16)
        error = ((y - target) ** 2).mean(-1)
        return descend(self.optimizer, (error * self.mask).sum() / self.mask.sum())


class ClipImage(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 128, 8, 8, bias=False)
        self.class_token = nn.Parameter(torch.randn(128) * 128 ** -0.5)
        self.positions = nn.Parameter(torch.randn(65, 128) * 128 ** -0.5)
        self.norm_pre = nn.LayerNorm(128, 1e-5)
        self.block = nn.Sequential(*[Block(128, 4, 1e-5, gelu="quick") for _ in range(4)])
        self.norm_post = nn.LayerNorm(128, 1e-5)
        self.proj = nn.Parameter(torch.randn(128, 128) * 128 ** -0.5)

    def forward(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], 1) + self.positions
        return self.norm_post(self.block(self.norm_pre(x))[:, 0]) @ self.proj


class ClipText(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(1514, 128)
        self.positions = nn.Parameter(torch.randn(32, 128) * 0.01)
        self.block = nn.Sequential(*[Block(128, 4, 1e-5, True, "quick") for _ in range(4)])
        self.norm = nn.LayerNorm(128, 1e-5)
        self.proj = nn.Parameter(torch.randn(128, 128) * 128 ** -0.5)

    def forward(self, text):
        x = self.block(self.tokens(text) + self.positions[:text.shape[1]])
        x = x[torch.arange(x.shape[0]), text.argmax(-1)]
        return self.norm(x) @ self.proj


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = ClipImage()
        self.text = ClipText()
        self.logit_scale = nn.Parameter(torch.full((1,), math.log(1 / 0.07)))

    def forward(self, images, text):
        f, g = F.normalize(self.image(images)), F.normalize(self.text(text))
        return self.logit_scale.exp() * f @ g.t()


class ClipTraining:
    def __init__(self, batch, data):
        self.net = Clip()
        self.optimizer = adam(self.net.parameters(), 1e-4, 0.9, 0.98, 0.2)
        self.images = data.pictures("images", batch, 64, 3)
        self.text = data.index("text", 1513, batch, 16)
        if not data.file:
            self.text[torch.arange(batch), 15 - torch.arange(batch) % 8] = 1513
        self.labels = torch.arange(batch)

    def step(self):
        logits = self.net(self.images, self.text)
        loss = F.cross_entropy(logits, self.labels) + F.cross_entropy(logits.t(), self.labels)
        loss = descend(self.optimizer, loss / 2)
        with torch.no_grad():
            self.net.logit_scale.clamp_(0, math.log(100))
        return loss


# ---- U-Net ----------------------------------------------------------------------------------

UNetConfig = collections.namedtuple(
    "UNetConfig", "inputs outputs width multipliers attends blocks groups eps sines_first far_sides "
    "scale_shift head_channels heads context transformers timed", defaults=[True])
DDPM = UNetConfig(1, 1, 32, (1, 2, 2), (False, True, False), 2, 32, 1e-6, True, True, False,
                  None, 1, None, False)
GLIDE = UNetConfig(3, 6, 32, (1, 2, 2, 3), (False, True, True, True), 1, 8, 1e-5, False, False, True,
                   32, None, 128, False)
LDM = UNetConfig(3, 3, 32, (1, 2, 2), (True, True, True), 2, 8, 1e-5, False, False, False, 32, None,
                 128, True)
SD1 = UNetConfig(4, 4, 320, (1, 2, 4, 4), (True, True, True, False), 2, 32, 1e-5, False, False,
                 False, None, 8, 768, True)
FIRST_STAGE = UNetConfig(3, 3, 32, (1, 2, 2), (False, False, False), 1, 8, 1e-6, False, True, False,
                         None, 1, None, False, timed=False)


def heads_of(c, channels):
    return c.heads or channels // c.head_channels


class ResBlock(nn.Module):
    def __init__(self, c, channels_in, channels_out):
        super().__init__()
        self.scale_shift = c.scale_shift
        self.norm1 = nn.GroupNorm(c.groups, channels_in, c.eps)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, 1, 1)
        if c.timed:
            self.emb_proj = nn.Linear(4 * c.width, channels_out * (2 if c.scale_shift else 1))
        self.norm2 = nn.GroupNorm(c.groups, channels_out, c.eps)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1)
        if channels_in != channels_out:
            self.skip = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x, emb=None):
        h = self.conv1(F.silu(self.norm1(x)))
        if emb is not None:
            emb = self.emb_proj(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = emb.chunk(2, 1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h if emb is None else h + emb)
        h = self.conv2(F.silu(h))
        return h + (self.skip(x) if hasattr(self, "skip") else x)


class AttentionBlock(nn.Module):
    """Keys and values of the context come before the image's own, as in GLIDE."""

    def __init__(self, c, channels):
        super().__init__()
        self.heads = heads_of(c, channels)
        self.norm = nn.GroupNorm(c.groups, channels, c.eps)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        if c.context:
            self.context_kv = nn.Linear(c.context, 2 * channels)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, x, context=None):
        b, c, h, w = x.shape
        # in channels_last the sequence (B,HW,C) is a view
        q, k, v = self.qkv(self.norm(x)).permute(0, 2, 3, 1).reshape(b, h * w, 3 * c).chunk(3, -1)
        if context is not None:
            k2, v2 = self.context_kv(context).chunk(2, -1)
            k, v = torch.cat([k2, k], 1), torch.cat([v2, v], 1)
        y = attend(self.split(q), self.split(k), self.split(v))
        y = y.transpose(1, 2).reshape(b, h, w, c).permute(0, 3, 1, 2)
        return x + self.out(y)


class CrossAttention(nn.Module):
    def __init__(self, channels, context, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels, bias=False)
        self.k = nn.Linear(context, channels, bias=False)
        self.v = nn.Linear(context, channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x, context):
        def split(y):
            return y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)
        y = attend(split(self.q(x)), split(self.k(context)), split(self.v(context)))
        return self.out(y.transpose(1, 2).reshape(x.shape))


class Geglu(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Linear(channels, 8 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        x, gate = self.fc1(x).chunk(2, -1)
        return self.fc2(x * F.gelu(gate))


class CrossBlock(nn.Module):
    def __init__(self, channels, context, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, 1e-5)
        self.attn = SelfAttention(channels, heads, qkv_bias=False)
        self.norm_cross = nn.LayerNorm(channels, 1e-5)
        self.cross = CrossAttention(channels, context, heads)
        self.norm2 = nn.LayerNorm(channels, 1e-5)
        self.mlp = Geglu(channels)

    def forward(self, x, context):
        x = x + self.attn(self.norm1(x))
        x = x + self.cross(self.norm_cross(x), context)
        return x + self.mlp(self.norm2(x))


class SpatialTransformer(nn.Module):
    def __init__(self, c, channels):
        super().__init__()
        self.norm = nn.GroupNorm(c.groups, channels, 1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.block = nn.ModuleList([CrossBlock(channels, c.context, heads_of(c, channels))])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x, context):
        b, c, h, w = x.shape
        y = self.proj_in(self.norm(x)).permute(0, 2, 3, 1).reshape(b, h * w, c)
        y = self.block[0](y, context).reshape(b, h, w, c).permute(0, 3, 1, 2)
        return x + self.proj_out(y)


def attention(c, channels):
    return (SpatialTransformer if c.transformers else AttentionBlock)(c, channels)


class Level(nn.Module):
    """Residual blocks, from channels_in[i] to channels_out each, with or without attention"""

    def __init__(self, c, channels_in, channels_out, attends):
        super().__init__()
        self.block = nn.ModuleList([ResBlock(c, n, channels_out) for n in channels_in])
        self.attention = nn.ModuleList(
            [attention(c, channels_out) for _ in channels_in] if attends else [])

    def run(self, i, h, emb=None, context=None):
        h = self.block[i](h, emb)
        return self.attention[i](h, context) if len(self.attention) else h


def middle(c, channels):
    return nn.ModuleDict({"block": nn.ModuleList([ResBlock(c, channels, channels),
                                                  ResBlock(c, channels, channels)]),
                          "attention": attention(c, channels)})


class UNet(nn.Module):
    def __init__(self, c=DDPM):
        super().__init__()
        self.c = c
        width, last = c.width, len(c.multipliers) - 1
        self.time = nn.ModuleList([nn.Linear(width, 4 * width), nn.Linear(4 * width, 4 * width)])
        self.add_module("in", nn.Conv2d(c.inputs, width, 3, 1, 1))
        self.down = nn.ModuleList()
        skips, n = [width], width
        for i, m in enumerate(c.multipliers):
            level = Level(c, [n] + [width * m] * (c.blocks - 1), width * m, c.attends[i])
            n = width * m
            skips += [n] * c.blocks
            if i < last:
                level.downsample = nn.Conv2d(n, n, 3, 2, 0 if c.far_sides else 1)
                skips.append(n)
            self.down.append(level)
        self.middle = middle(c, n)
        up = []
        for i, m in reversed(list(enumerate(c.multipliers))):
            before = [n] + [width * m] * c.blocks
            level = Level(c, [k + skips.pop() for k in before], width * m, c.attends[i])
            n = width * m
            if i > 0:
                level.upsample = nn.Conv2d(n, n, 3, 1, 1)
            up.insert(0, level)
        self.up = nn.ModuleList(up)
        self.norm_out = nn.GroupNorm(c.groups, width, c.eps)
        self.out = nn.Conv2d(width, c.outputs, 3, 1, 1)

    def embed(self, time):
        half = self.c.width // 2
        steps = half - 1 if self.c.sines_first else half
        angle = time[:, None].float() * torch.exp(torch.arange(half) * (-math.log(1e4) / steps))
        waves = [angle.sin(), angle.cos()] if self.c.sines_first else [angle.cos(), angle.sin()]
        return self.time[1](F.silu(self.time[0](torch.cat(waves, 1))))

    def forward(self, x, time, context=None, added=None):
        emb = self.embed(time)
        emb = F.silu(emb if added is None else emb + added)
        h = getattr(self, "in")(x)
        skips = [h]
        for level in self.down:
            for i in range(len(level.block)):
                h = level.run(i, h, emb, context)
                skips.append(h)
            if hasattr(level, "downsample"):
                h = level.downsample(F.pad(h, (0, 1, 0, 1)) if self.c.far_sides else h)
                skips.append(h)
        h = self.middle["attention"](self.middle["block"][0](h, emb), context)
        h = self.middle["block"][1](h, emb)
        for level in reversed(self.up):
            for i in range(len(level.block)):
                h = level.run(i, torch.cat([h, skips.pop()], 1), emb, context)
            if hasattr(level, "upsample"):
                h = level.upsample(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return self.out(F.silu(self.norm_out(h)))


class UNetTraining:
    def __init__(self, batch, data):
        self.net = UNet()
        self.optimizer = adam(self.net.parameters(), 2e-4)
        self.images = data.image("images", -1, 1, batch, 1, 28, 28)
        self.noise = data.normal("noise", batch, 1, 28, 28).contiguous(memory_format=data.layout)
        self.signal_scale = data.uniform("signal_scale", 0.1, 0.9, batch, 1, 1, 1)
        self.noise_scale = data.uniform("noise_scale", 0.1, 0.9, batch, 1, 1, 1)
        self.time = data.index("time", 1000, batch)

    def step(self):
        xt = self.signal_scale * self.images + self.noise_scale * self.noise
        return descend(self.optimizer, F.mse_loss(self.net(xt, self.time), self.noise))


class UNetSampling:
    """Ten steps back (Ho et al. 2020, eq. 4 and 7), then again from the first t"""

    def __init__(self, batch, data):
        self.net = UNet().eval()
        self.x = data.normal("x", batch, 1, 28, 28).contiguous(memory_format=data.layout)
        self.z = data.normal("z", batch, 1, 28, 28).contiguous(memory_format=data.layout)
        self.beta = [0.01 + 0.19 * t / 9 for t in range(10)]
        self.t = 0

    def coefficients(self, t):
        """of x and eps in x0, of x0, x and z in the new x"""
        beta = self.beta[t]
        before = math.prod(1 - b for b in self.beta[:t])
        after = before * (1 - beta)
        return [1 / math.sqrt(after), -math.sqrt(1 / after - 1),
                beta * math.sqrt(before) / (1 - after),
                (1 - before) * math.sqrt(1 - beta) / (1 - after), math.sqrt(beta) if t else 0.0]

    def inputs(self, t):
        return {"x": self.x, "z": self.z, "time": torch.full((len(self.x),), 100.0 * t),
                "c": torch.tensor(self.coefficients(t))}

    def back(self, x, z, time, c):
        x0 = torch.clamp(c[0] * x + c[1] * self.net(x, time), -1, 1)
        return c[2] * x0 + c[3] * x + c[4] * z

    @torch.inference_mode()
    def step(self):
        self.t = (self.t or 10) - 1
        self.x = self.back(**self.inputs(self.t))
        return self.x.square().sum()

    def exported(self):
        """the step, what goes in at first, what changes with each of ten steps"""
        later = [self.inputs(t) for t in reversed(range(10))]
        return self.back, self.inputs(9), [{k: i[k] for k in ("time", "c")} for i in later], True


class TextUNet(UNet):
    """nn/text_unet.h: a text transformer whose last place joins the time, and all of whose places
    are attended to"""

    def __init__(self):
        super().__init__(GLIDE)
        self.text = nn.Module()
        self.text.tokens = nn.Embedding(1514, 128)
        self.text.positions = nn.Parameter(torch.randn(32, 128) * 0.01)
        self.text.padding = nn.Parameter(torch.randn(32, 128) * 0.01)
        self.text.block = nn.Sequential(*[Block(128, 4, 1e-5, gelu="none") for _ in range(3)])
        self.text.norm = nn.LayerNorm(128, 1e-5)
        self.text_proj = nn.Linear(128, 128)

    def read(self, text, there):
        h = self.text.tokens(text) + self.text.positions
        h = torch.where(there[:, :, None], h, self.text.padding)
        return self.text.norm(self.text.block(h))

    def forward(self, x, time, text, there):
        context = self.read(text, there)
        return super().forward(x, time, context, self.text_proj(context[:, -1]))


class GlideTraining:
    def __init__(self, batch, data):
        self.net = TextUNet()
        self.optimizer = adam(self.net.parameters(), 5e-4)
        self.xt = data.pictures("xt", batch, 32, 3)
        self.target = data.pictures("target", batch, 32, 6)
        self.time = data.index("time", 1000, batch)
        self.text = data.index("text", 1514, batch, 32)
        self.there = torch.arange(32)[None, :] < 6 + torch.arange(batch)[:, None] % 16

    def step(self):
        y = self.net(self.xt, self.time, self.text, self.there)
        return descend(self.optimizer, F.mse_loss(y, self.target))


class LdmTraining:
    def __init__(self, batch, data):
        self.net = UNet(LDM)
        self.optimizer = adam(self.net.parameters(), 5e-4)
        self.x = data.pictures("x", batch, 16, 3)
        self.context = data.uniform("context", -1, 1, batch, 24, 128)
        self.time = data.index("time", 1000, batch)
        self.target = data.pictures("target", batch, 16, 3)

    def step(self):
        y = self.net(self.x, self.time, self.context)
        return descend(self.optimizer, F.mse_loss(y, self.target))


class Sd1Sampling:
    """One step of guidance: the answers with and without a text, from a batch of two"""

    def __init__(self, batch, data):
        width = data.file["in.bias"].numel() if data.file else SD1.width
        self.net = UNet(SD1._replace(width=width)).eval()
        self.x = data.pictures("x", batch, 16, 4)
        self.context = data.uniform("context", -1, 1, batch, 77, 768)
        self.time = torch.full((batch,), 500)

    @torch.inference_mode()
    def step(self):
        return self.net(self.x, self.time, self.context).square().sum()

    def exported(self):
        inputs = {"x": self.x, "time": self.time.float(), "context": self.context}
        return self.net.forward, inputs, [{}], False


# ---- latent diffusion's first stage ---------------------------------------------------------

class FirstStageEncoder(nn.Module):
    """(B,3,H,W) -> (B,6,H/4,W/4)"""

    def __init__(self, c=FIRST_STAGE):
        super().__init__()
        n, last = c.width, len(c.multipliers) - 1
        self.add_module("in", nn.Conv2d(c.inputs, n, 3, 1, 1))
        self.down = nn.ModuleList()
        for i, m in enumerate(c.multipliers):
            level = Level(c, [n], c.width * m, False)
            n = c.width * m
            if i < last:
                level.downsample = nn.Conv2d(n, n, 3, 2)
            self.down.append(level)
        self.middle = middle(c, n)
        self.norm_out = nn.GroupNorm(c.groups, n, c.eps)
        self.out = nn.Conv2d(n, 6, 3, 1, 1)

    def forward(self, x):
        h = getattr(self, "in")(x)
        for level in self.down:
            h = level.run(0, h)
            if hasattr(level, "downsample"):
                h = level.downsample(F.pad(h, (0, 1, 0, 1)))
        h = self.middle["block"][1](self.middle["attention"](self.middle["block"][0](h)))
        return self.out(F.silu(self.norm_out(h)))


class FirstStageDecoder(nn.Module):
    """(B,3,h,w) -> (B,3,4h,4w)"""

    def __init__(self, c=FIRST_STAGE):
        super().__init__()
        n = c.width * c.multipliers[-1]
        self.add_module("in", nn.Conv2d(3, n, 3, 1, 1))
        self.middle = middle(c, n)
        up = []
        for i, m in reversed(list(enumerate(c.multipliers))):
            level = Level(c, [n, c.width * m], c.width * m, False)
            n = c.width * m
            if i > 0:
                level.upsample = nn.Conv2d(n, n, 3, 1, 1)
            up.insert(0, level)
        self.up = nn.ModuleList(up)
        self.norm_out = nn.GroupNorm(c.groups, n, c.eps)
        self.out = nn.Conv2d(n, c.outputs, 3, 1, 1)

    def forward(self, z):
        h = getattr(self, "in")(z)
        h = self.middle["block"][1](self.middle["attention"](self.middle["block"][0](h)))
        for level in reversed(self.up):
            h = level.run(1, level.run(0, h))
            if hasattr(level, "upsample"):
                h = level.upsample(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return self.out(F.silu(self.norm_out(h)))


class PatchGan(nn.Module):
    """(B,3,64,64) -> (B,1,14,14)"""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, 32, 4, 2, 1),
                                   nn.Conv2d(32, 64, 4, 2, 1, bias=False),
                                   nn.Conv2d(64, 128, 4, 1, 1, bias=False),
                                   nn.Conv2d(128, 1, 4, 1, 1)])
        self.norm = nn.ModuleDict({"1": nn.BatchNorm2d(64), "2": nn.BatchNorm2d(128)})

    def forward(self, x):
        h = F.leaky_relu(self.down[0](x), 0.2, inplace=True)
        for i in 1, 2:
            h = F.leaky_relu(self.norm[str(i)](self.down[i](h)), 0.2, inplace=True)
        return self.down[3](h)


class Perceptual:
    """Frozen convolutions; squared distance of features of length 1 at each pixel"""

    def __init__(self, data):
        self.conv = nn.ModuleList([nn.Conv2d(n, m, 3, 1, 1)
                                   for n, m in ((3, 32), (32, 64), (64, 96))])
        if data.file:
            self.conv.load_state_dict({name[len("input.conv."):]: value for name, value
                                       in data.file.items() if name.startswith("input.conv.")})
        self.conv.requires_grad_(False).to(memory_format=data.layout)

    def features(self, x):
        features, x = [], x * 0.5 + 0.5
        for i, conv in enumerate(self.conv):
            h = F.relu(conv(F.max_pool2d(x, 2) if i else x))
            features.append(h / (h.square().sum(1, keepdim=True) + 1e-10).sqrt())
            x = h
        return features

    def __call__(self, x, y):
        return sum(F.mse_loss(b, a) * a.shape[1]
                   for a, b in zip(self.features(x), self.features(y)))


class FirstStageTraining:
    def __init__(self, batch, data):
        self.coder = nn.ModuleDict({"encoder": FirstStageEncoder(), "quant": nn.Conv2d(6, 6, 1),
                                    "post_quant": nn.Conv2d(3, 3, 1),
                                    "decoder": FirstStageDecoder()})
        self.d = PatchGan()
        self.net = nn.ModuleDict({**self.coder, **dict(self.d.named_children())})
        self.adam = adam(self.coder.parameters(), 5e-4, 0.5, 0.9)
        self.adam_d = adam(self.d.parameters(), 1e-4, 0.5, 0.9)
        self.perceptual = Perceptual(data)
        side = data.file["input.x"].shape[1] if data.file else 64
        self.x = data.pictures("x", batch, side, 3)
        noise = data.normal("noise", batch, side // 4, side // 4, 3)
        self.noise = noise.permute(0, 3, 1, 2).contiguous(memory_format=data.layout)

    def step(self):
        x, numbers = self.x, self.x[0].numel()
        mean, log_variance = self.coder["quant"](self.coder["encoder"](x)).chunk(2, 1)
        log_variance = log_variance.clamp(-30, 20)
        z = mean + (0.5 * log_variance).exp() * self.noise
        y = self.coder["decoder"](self.coder["post_quant"](z))
        rec = F.l1_loss(y, x) + 0.2 * self.perceptual(x, y)
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum() / len(x)
        self.d.requires_grad_(False)
        adv = -self.d(y).mean()
        last = self.coder["decoder"].out.weight
        by_rec, = torch.autograd.grad(numbers * rec, last, retain_graph=True)
        by_adv, = torch.autograd.grad(adv, last, retain_graph=True)
        weight = 0.5 * (by_rec.norm() / (by_adv.norm() + 1e-4)).clamp(max=1e4)
        descend(self.adam, rec + (weight * adv + 1e-6 * kl) / numbers)
        self.d.requires_grad_(True)
        hinge = F.relu(1 - self.d(x)).mean() + F.relu(1 + self.d(y.detach())).mean()
        loss_d = descend(self.adam_d, 0.5 * hinge)
        return (rec + (weight * adv + kl) / numbers).detach() + loss_d


# ---- DALL-E ---------------------------------------------------------------------------------

class DvaeBlock(nn.Module):
    def __init__(self, channels_in, channels_out, kernels):
        super().__init__()
        inside = channels_out // 4
        widths = [channels_in, inside, inside, inside, channels_out]
        if channels_in != channels_out:
            self.id_path = nn.Conv2d(channels_in, channels_out, 1)
        self.res_path = nn.ModuleDict({f"conv_{i + 1}": nn.Conv2d(widths[i], widths[i + 1], k, 1,
                                                                  k // 2)
                                       for i, k in enumerate(kernels)})

    def forward(self, x):
        h = x
        for conv in self.res_path.values():
            h = conv(F.relu(h))
        return (self.id_path(x) if hasattr(self, "id_path") else x) + h


class DvaeNet(nn.Module):
    def __init__(self, first, first_kernel, widths, kernels, out, resample):
        super().__init__()
        self.resample = resample
        self.blocks = nn.ModuleDict({"input": nn.Conv2d(*first, first_kernel, 1,
                                                        first_kernel // 2)})
        n = first[1]
        for i, width in enumerate(widths):
            self.blocks[f"group_{i + 1}"] = nn.ModuleDict({"block_1": DvaeBlock(n, width, kernels)})
            n = width
        self.blocks["output"] = nn.ModuleDict({"conv": nn.Conv2d(n, out, 1)})

    def forward(self, x):
        h = self.blocks["input"](x)
        for i in range(len(self.blocks) - 2):
            h = self.blocks[f"group_{i + 1}"]["block_1"](self.resample(h) if i else h)
        return self.blocks["output"]["conv"](F.relu(h))


GRID, CODES = 16, 512


class DvaeTraining:
    def __init__(self, batch, data):
        encoder = DvaeNet((3, 32), 7, (32, 64, 128), (3, 3, 3, 1), CODES,
                          lambda x: F.max_pool2d(x, 2))
        decoder = DvaeNet((CODES, 128), 1, (128, 64, 32), (1, 3, 3, 3), 6,
                          lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"))
        self.net = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        self.optimizer = adam(self.net.parameters(), 1e-3, decay=1e-4)
        x = data.uniform("x", 0.1, 0.9, batch, 64, 64, 3)
        self.x = x.permute(0, 3, 1, 2).contiguous(memory_format=data.layout)
        u = data.uniform("uniform", 0, 1, batch, GRID, GRID, CODES)
        self.u = u.permute(0, 3, 1, 2).contiguous(memory_format=data.layout)

    def step(self):
        x = self.x * 0.8 + 0.1
        z = self.net["encoder"](x)
        gumbel = -torch.log(-torch.log(self.u * (1 - 2 ** -23) + 2 ** -24))
        mu, log_b = self.net["decoder"](((z + gumbel) / 0.5).softmax(1)).chunk(2, 1)
        log_q = z.log_softmax(1)
        kl = (log_q.exp() * log_q).sum() / x.shape[0] + GRID * GRID * math.log(CODES)
        b = log_b.exp() + 0.05
        log_x, log_rest = x.log(), (1 - x).log()
        nats = (b.log() + (log_x - log_rest - mu).abs() / b + log_x + log_rest).mean()
        return descend(self.optimizer, nats + math.log(2) + kl / x[0].numel())


class Prior(nn.Module):
    """A caption of 24 places, a start, all codes but the last: logits of the tokens and codes after them"""

    def __init__(self):
        super().__init__()
        def table(rows):
            return nn.Parameter(torch.randn(rows, 192) * 0.02)
        self.text_tokens, self.text_positions = table(1514 + 24), table(24)
        self.image_start, self.image_tokens = table(1), table(CODES)
        self.rows, self.columns = table(GRID), table(GRID)
        self.h = nn.Sequential(*[Block(192, 6, 1e-5, True, "tanh") for _ in range(5)])
        self.norm = nn.LayerNorm(192, 1e-5)
        self.text_head = nn.Linear(192, 1514, bias=False)
        self.image_head = nn.Linear(192, CODES, bias=False)

    def begin(self, text):
        start = self.image_start[None].expand(text.shape[0], 1, 192)
        return torch.cat([F.embedding(text, self.text_tokens) + self.text_positions, start], 1)

    def places(self):
        return (self.rows[:, None] + self.columns).view(GRID * GRID, 192)

    def forward(self, text, codes):
        image = F.embedding(codes[:, :-1], self.image_tokens) + self.places()[:-1]
        h = self.h(torch.cat([self.begin(text), image], 1))
        return self.text_head(self.norm(h[:, :23])), self.image_head(self.norm(h[:, 24:]))

    def next(self, x, cache):
        """what the last place of x (B,n,192) predicts; cache: keys and values of each block"""
        for i, block in enumerate(self.h):
            b, n, c = x.shape
            qkv = block.attn.qkv(block.norm1(x)).view(b, n, 3, 6, 32).permute(2, 0, 3, 1, 4)
            q, k, v = qkv
            if cache[i] is not None:
                k, v = torch.cat([cache[i][0], k], 2), torch.cat([cache[i][1], v], 2)
            cache[i] = k, v
            y = attend(q, k, v, n > 1).transpose(1, 2).reshape(b, n, c)
            x = x + block.attn.out(y)
            x = x + block.mlp(block.norm2(x))
        return self.image_head(self.norm(x[:, -1]))


class PriorTraining:
    def __init__(self, batch, data):
        self.net = Prior()
        self.optimizer = adam(self.net.parameters(), 1e-3, 0.9, 0.96, 4.5e-2)
        self.codes = data.index("codes", CODES, batch, GRID * GRID)
        self.text = data.index("text", 1514, batch, 24)
        if not data.file:
            place, length = torch.arange(24)[None, :], 6 + torch.arange(batch)[:, None] % 16
            self.text = torch.where(place < length, self.text, 1514 + place)
        self.next = torch.where(self.text < 1514, self.text, -100)[:, 1:].reshape(-1)

    def step(self):
        text, image = self.net(self.text, self.codes)
        of_text = F.cross_entropy(text.reshape(-1, 1514), self.next)
        of_image = F.cross_entropy(image.reshape(-1, CODES), self.codes.view(-1))
        return descend(self.optimizer, of_text / 8 + of_image * (7 / 8))


class PriorSampling(PriorTraining):
    @torch.inference_mode()
    def step(self):
        cache, places = [None] * 5, self.net.places()
        logits = self.net.next(self.net.begin(self.text), cache)
        for i in range(GRID * GRID - 1):
            x = F.embedding(self.codes[:, i:i + 1], self.net.image_tokens) + places[i]
            logits = self.net.next(x, cache)
        return logits.square().sum()


# ---- check, worker --------------------------------------------------------------------------

NETS = {"vae": VaeTraining, "dcgan": DcganTraining, "vqvae": VqVaeTraining, "mae": MaeTraining,
        "unet": UNetTraining, "unet_sample": UNetSampling, "gpt": GptTraining,
        "clip": ClipTraining, "glide": GlideTraining, "ldm": LdmTraining, "sd1": Sd1Sampling,
        "first_stage": FirstStageTraining, "dvae": DvaeTraining, "dalle": PriorTraining,
        "dalle_sample": PriorSampling}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def read_safetensors(path):
    import json
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        numbers = bytearray(f.read())
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(numbers, dtype=torch.float32, offset=t["data_offsets"][0],
                                   count=math.prod(t["shape"])).view(t["shape"]).clone()
            for name, t in header.items()}


def load(net, file):
    """All weights, and no others; 1x1 kernels may be matrices in the file."""
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    theirs = {k for k in file if not k.startswith("input.")}
    if theirs != set(state):
        sys.exit(f"names differ: {sorted(theirs ^ set(state))}")
    with torch.no_grad():
        for name, value in state.items():
            value.copy_(file[name].reshape(value.shape))


def make(name, batch, layout, file=None):
    torch.manual_seed(1)
    training = NETS[name](batch, Data(file, LAYOUTS[layout]))
    if file:
        load(training.net, file)
    if layout == "channels_last":
        training.net.to(memory_format=torch.channels_last)
    return training


def count(training):
    return sum(p.numel() for p in training.net.parameters())


def kernels(files):
    """The processor that OpenBLAS has kernels for."""
    for file in files:
        try:
            core = ctypes.CDLL(file).openblas_get_corename
        except (OSError, AttributeError):
            continue
        core.restype = ctypes.c_char_p
        return "/" + core().decode()
    return ""


def vectors():
    """What ATen's own loops are compiled for, as it says itself."""
    found = re.search(r"CPU capability usage: (\S+)", torch.__config__.show())
    return "/" + found.group(1) if found else ""


def blas():
    """Debian's PyTorch takes its matrix products from whatever libblas.so.3 points to."""
    if torch.backends.mkl.is_available():
        return "MKL"
    with open("/proc/self/maps") as maps:
        files = {os.path.realpath(line.split()[-1]) for line in maps if "/libblas" in line}
    for name in "OpenBLAS", "BLIS":
        if any(name.lower() in f for f in files):
            return name + kernels(files) if name == "OpenBLAS" else name
    return "reference-blas" if files else "its-own"


def check(name, batch, path, steps, eps, layout):
    global EPS
    EPS = float(eps)
    file = read_safetensors(path)
    training = make(name, int(batch), layout, file)
    print("params", count(training))
    for _ in range(int(steps)):
        loss = training.step()
        grads = [p.grad for p in training.net.parameters() if p.grad is not None]
        squares = sum(float((g.double() ** 2).sum()) for g in grads)
        print("loss %.9g norm %.9g" % (float(loss), math.sqrt(squares)))


def worker(name, batch, threads, layout):
    torch.set_num_threads(int(threads))
    training = make(name, int(batch), layout)
    training.step()
    print("ready", count(training), 0, "pytorch-" + torch.__version__ + vectors(), blas(), flush=True)
    for line in sys.stdin:
        if line.startswith("run"):
            training.step()
            times = []
            for _ in range(int(line.split()[1])):
                start = time.perf_counter()
                training.step()
                times.append(time.perf_counter() - start)
            print(" ".join("%.4f" % (1e3 * t) for t in times), flush=True)
        else:
            print("%.1f %.1f" % (resident_peak(), IMPORT_PEAK), flush=True)


class Step(nn.Module):
    def __init__(self, net, step):
        super().__init__()
        self.net, self.step = net, step

    def forward(self, *inputs):
        return self.step(*inputs)


def export(name, batch, path, weights=None):
    import json
    import warnings
    warnings.simplefilter("ignore")          # the exporter's own, about shapes it does not infer
    training = make(name, int(batch), "contiguous", read_safetensors(weights) if weights else None)
    step, inputs, steps, x_is_y = training.exported()
    with torch.no_grad():
        torch.onnx.export(Step(training.net, step), tuple(inputs.values()), path,
                          input_names=list(inputs), output_names=["y"], opset_version=17)
    shapes = {name: list(value.shape) for name, value in inputs.items()}
    numbers = {name: value.flatten().tolist() for name, value in inputs.items()}
    steps = [{name: value.tolist() for name, value in at.items()} for at in steps]
    with open(path + ".json", "w") as f:
        json.dump({"parameters": count(training), "shapes": shapes, "inputs": numbers,
                   "steps": steps, "x_is_y": x_is_y}, f)


if __name__ == "__main__":
    {"check": check, "worker": worker, "export": export}[sys.argv[1]](*sys.argv[2:])
