"""Dense 3×3 convolutions that train in float32 on a processor, by Winograd's minimal filtering F(4×4, 3×3).

A tile of 4×4 outputs takes 36 multiplications for each pair of channels instead of 144 (Lavin and Gray, arXiv
1509.09308, section 4.3): its 6×6 inputs and the kernel are transformed, multiplied point by point, which for all
channels and tiles is 36 matrix products, and transformed back. PyTorch asks oneDNN for direct convolutions only. The
transforms run over blocks of tiles that stay in the processor's cache: over whole feature maps they would cost more
than the products save. The results differ from PyTorch's in the fifth digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_OUT, _IN = 4, 6  # cells along a side of a tile
_BLOCK_BYTES = 12 << 20  # of all memory of a block, for each thread
_MOST_THREADS = 8  # whose share a block has
_LEAST_TILES = 128  # of a block: the transformed kernel is read again for each

# Cost of forward and backward for a tile and a pair of channels, as multiplications: 144 directly, or 36 and the
# transforms of the tile and the kernel (fitted to times of 16 to 1024 channels with AVX2, docs/measured.md).
_TILES_COST, _KERNEL_COST = 2000.0, 3000.0
_LEAST_GAIN = 1.3  # of direct convolution's time over Winograd's, estimated so


def _matrix(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32, device="cpu")


# The transforms along one side: of inputs, of kernels, and back to outputs (arXiv 1509.09308, section 4.3).
_FROM_INPUTS = _matrix(
    [
        [4.0, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_FROM_KERNEL = _matrix([[6.0, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_TO_OUTPUTS = _matrix([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


class _Block(NamedTuple):
    """Tiles that are computed together: rows of tiles of one image, or several whole images."""

    images: slice
    first_row: int
    rows: int


class _Tiling:
    """The tiles of (B, H, W) cells, and a block's share of the maps that they are read from and written to.

    What it returns is overwritten by the next call of the same name.

    Args:
        cells: (B, H, W, C) inputs.
        size: height and width of the outputs.
        block_tiles: about as many tiles are a block.
    """

    def __init__(self, cells: Tensor, size: tuple[int, int], block_tiles: int) -> None:
        self._images, self._like = len(cells), cells
        self._memory: dict[str, Tensor] = {}
        self._rows, self.columns = (-(-side // _OUT) for side in size)
        self._block_rows = min(self._rows, max(1, block_tiles // self.columns))
        self._block_images = max(1, min(len(cells), block_tiles // (self._rows * self.columns)))

    def blocks(self) -> Iterator[_Block]:
        for image in range(0, self._images, self._block_images):
            images = slice(image, min(image + self._block_images, self._images))
            for row in range(0, self._rows, self._block_rows):
                yield _Block(images, row, min(self._block_rows, self._rows - row))

    def inputs(self, features: Tensor, block: _Block, padding: int) -> Tensor:
        """Return the transformed inputs (36, T, C) of a block of a (B, H, W, C) map."""
        padded = self._window("inputs", features, block, padding, _IN - _OUT)
        images, height, width, channels = padded.shape
        row = width * channels
        size = (_IN, _IN, images, block.rows, self.columns, channels)
        tiles = padded.as_strided(size, (row, channels, height * row, _OUT * row, _OUT * channels, 1))
        return self._in_tiles("inputs", _FROM_INPUTS, tiles)

    def output_gradients(self, gradient: Tensor, block: _Block) -> Tensor:
        """Return the gradient (36, T, K) of a block's products, of that of the outputs (B, H, W, K)."""
        window = self._window("gradients", gradient, block, 0, 0)
        images, channels = len(window), window.shape[-1]
        tiles = window.view(images, block.rows, _OUT, self.columns, _OUT, channels).permute(2, 4, 0, 1, 3, 5)
        return self._in_tiles("gradients", _TO_OUTPUTS.T, tiles)

    def products(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Return the products (36, T, K) of a block's inputs (36, T, C) and the kernel (36, C, K)."""
        return torch.bmm(inputs, kernel, out=self._room("products", *inputs.shape[:2], kernel.shape[2]))

    def put(self, products: Tensor, outputs: Tensor, block: _Block, bias: Tensor | None) -> None:
        """Write a block of outputs, of (36, T, K) products, into a (B, H, W, K) map."""
        channels, images = products.shape[-1], outputs[block.images]
        tiles = self._transformed("outputs", _TO_OUTPUTS, products.view(_IN, _IN, -1))
        cells = self._room("cells", len(images), _OUT * block.rows, _OUT * self.columns, channels)
        by_place = tiles.view(_OUT, _OUT, len(images), block.rows, self.columns, channels).permute(2, 3, 0, 4, 1, 5)
        target = cells.view(by_place.shape)
        if bias is None:
            target.copy_(by_place)
        else:
            torch.add(by_place, bias, out=target)
        first = _OUT * block.first_row
        wanted = images[:, first : first + _OUT * block.rows]
        wanted.copy_(cells[:, : wanted.shape[1], : wanted.shape[2]])

    def _in_tiles(self, name: str, transform: Tensor, tiles: Tensor) -> Tensor:
        """Return (36, T, C), the transform of (rows, columns, images, T's rows, T's columns, C) tiles."""
        flat = self._room(f"{name} in tiles", *tiles.shape).copy_(tiles).flatten(2)
        return self._transformed(name, transform, flat).view(_IN * _IN, -1, tiles.shape[-1])

    def _transformed(self, name: str, transform: Tensor, tiles: Tensor) -> Tensor:
        """Return (S, S, n) of (R, R, n) tiles and the (S, R) transform of one side."""
        to, (side, _, count) = len(transform), tiles.shape
        rows = torch.mm(transform, tiles.view(side, -1), out=self._room(f"rows of {name}", to, side * count))
        room = self._room(f"transformed {name}", to, to, count)
        return torch.bmm(transform.expand(to, to, side), rows.view(to, side, count), out=room)

    def _window(self, name: str, cells: Tensor, block: _Block, padding: int, margin: int) -> Tensor:
        """Return a block's rows of a (B, H, W, C) map, zeros around it."""
        images = cells[block.images]
        height, width = _OUT * block.rows + margin, _OUT * self.columns + margin
        window = self._room(f"padded {name}", len(images), height, width, cells.shape[-1]).zero_()
        first = _OUT * block.first_row - padding
        low, high = max(0, first), min(cells.shape[1], first + height)
        right = padding + cells.shape[2]  # the columns of tiles reach over it
        window[:, low - first : high - first, padding:right] = images[:, low:high]
        return window

    def _room(self, name: str, *size: int) -> Tensor:
        """Return memory that stays with the tiling: allocated for every block it would be cold."""
        wanted = math.prod(size)
        if name not in self._memory or self._memory[name].numel() < wanted:
            self._memory[name] = self._like.new_empty(wanted)
        return self._memory[name][:wanted].view(size)


def _block_tiles(one_side: int, other_side: int) -> int:
    """Return how many tiles a block has, for the channels of inputs and outputs."""
    floats = 3 * _IN * _IN * (one_side + other_side)  # cut into tiles, half and wholly transformed
    threads = min(torch.get_num_threads(), _MOST_THREADS)
    return max(_LEAST_TILES, _BLOCK_BYTES * threads // (4 * floats))


def _transformed(weight: Tensor) -> Tensor:
    """Return the (36, C, K) transform of a (K, C, 3, 3) kernel."""
    outputs, inputs = weight.shape[:2]
    rows = (_FROM_KERNEL @ weight.permute(2, 3, 1, 0).reshape(3, -1)).view(_IN, 3, -1)
    return (_FROM_KERNEL @ rows).view(_IN * _IN, inputs, outputs)


def _convolve(features: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Return the convolution (B, K, H, W), channels last, of (B, C, H, W) features and a (K, C, 3, 3) kernel."""
    cells = features.permute(0, 2, 3, 1).contiguous()
    height, width = (side + 2 * padding - 2 for side in features.shape[2:])
    tiling = _Tiling(cells, (height, width), _block_tiles(*weight.shape[:2]))
    kernel = _transformed(weight)
    kind, place = cells.dtype, cells.device
    shape = (len(cells), len(weight), height, width)
    outputs = torch.empty(shape, dtype=kind, device=place, memory_format=torch.channels_last)
    for block in tiling.blocks():
        products = tiling.products(tiling.inputs(cells, block, padding), kernel)
        tiling.put(products, outputs.permute(0, 2, 3, 1), block, bias)
    return outputs


def _weight_gradient(features: Tensor, gradient: Tensor, padding: int) -> Tensor:
    """Return the gradient (K, C, 3, 3) of a kernel, of that of its outputs (B, K, H, W)."""
    cells, of_outputs = (values.permute(0, 2, 3, 1).contiguous() for values in (features, gradient))
    inputs, outputs = cells.shape[-1], of_outputs.shape[-1]
    tiling = _Tiling(cells, (of_outputs.shape[1], of_outputs.shape[2]), _block_tiles(inputs, outputs))
    of_kernel = cells.new_zeros(_IN * _IN, inputs, outputs)
    for block in tiling.blocks():
        read = tiling.inputs(cells, block, padding)
        of_kernel.baddbmm_(read.transpose(1, 2), tiling.output_gradients(of_outputs, block))
    rows = (_FROM_KERNEL.T @ of_kernel.view(_IN, -1)).view(3, _IN, -1)
    return (_FROM_KERNEL.T @ rows).view(3, 3, inputs, outputs).permute(3, 2, 0, 1)


class _WinogradConvolution(torch.autograd.Function):
    """A convolution with a 3×3 kernel, whose gradients are such convolutions too."""

    @staticmethod
    def forward(context: Any, features: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        context.save_for_backward(features, weight)
        context.padding = padding
        return _convolve(features, weight, bias, padding)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        features, weight = context.saved_tensors
        padding: int = context.padding
        wants_features, wants_weight, wants_bias, _ = context.needs_input_grad
        of_features = of_weight = None
        if wants_features:
            of_features = _convolve(gradient, weight.transpose(0, 1).flip(2, 3), None, 2 - padding)
        if wants_weight:
            of_weight = _weight_gradient(features, gradient, padding)
        return of_features, of_weight, gradient.sum(dim=(0, 2, 3)) if wants_bias else None, None


def has_fast_products() -> bool:
    """Whether PyTorch multiplies matrices by MKL, with which this was measured."""
    return bool(torch.backends.mkl.is_available())  # type: ignore[no-untyped-call]


def is_suitable(layer: nn.Conv2d) -> bool:
    """Whether :class:`WinogradConv2d` can take the place of a convolution, and gains by it on large maps."""
    plain = type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and layer.groups == 1
    form = (layer.kernel_size, layer.stride, layer.dilation)
    padded = layer.padding in ((0, 0), (1, 1), (2, 2))
    return plain and padded and form == ((3, 3), (1, 1), (1, 1)) and estimated_gain(layer, 1, (400, 400)) >= _LEAST_GAIN


def estimated_gain(layer: nn.Conv2d, images: int, size: tuple[int, int]) -> float:
    """Return how many times as long a layer's direct convolution may take, forward and backward.

    Args:
        layer: with a 3×3 kernel.
        images: of the batch.
        size: height and width of the outputs.
    """
    tiles = images * math.prod(-(-side // _OUT) for side in size)
    if tiles == 0:
        return 0.0
    mixed = layer.in_channels * layer.out_channels / (layer.in_channels + layer.out_channels)
    direct = 9 * images * math.prod(size) / tiles
    return direct / (_IN * _IN + _TILES_COST / mixed + _KERNEL_COST / tiles)


def workspace_bytes(layer: nn.Conv2d) -> int:
    """Return the bytes that a convolution takes for a while at most: a block, the transformed kernel, its gradients."""
    return _BLOCK_BYTES * _MOST_THREADS + 3 * _IN * _IN * layer.in_channels * layer.out_channels * 4


class WinogradConv2d(nn.Conv2d):
    """A dense 3×3 convolution that learns faster from float32 features on a processor.

    It is PyTorch's own where nothing is gained: for small maps and few images, other types, and without gradients.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (B, C, H, W) features."""
        if not (torch.is_grad_enabled() and _is_float_here(features, self.weight)):
            return super().forward(features)
        padding = int(self.padding[0])
        height, width = (side + 2 * padding - 2 for side in features.shape[2:])
        if estimated_gain(self, len(features), (height, width)) < _LEAST_GAIN:
            return super().forward(features)
        convolved: Tensor = _WinogradConvolution.apply(features, self.weight, self.bias, padding)
        return convolved


def _is_float_here(features: Tensor, weight: Tensor) -> bool:
    """Whether a batch of features and the weights are float32 in the processor's memory, and stay so."""
    exact = features.dtype == weight.dtype == torch.float32 and features.device.type == "cpu"
    return exact and features.dim() == 4 and not _is_autocast()


def _is_autocast() -> bool:
    try:
        return torch.is_autocast_enabled("cpu")
    except TypeError:  # PyTorch before 2.4
        return torch.is_autocast_cpu_enabled()
