"""Draw the sample pictures: five invented scenes and edited copies of them.

Nothing here is a photograph, so nothing here has an owner; yet the scenes are
made to behave like photographs, with 1/f textures, light that falls off, haze,
grain, and edges at every scale.  All light is linear until :func:`develop`
exposes it.  The pictures depend on the seeds below and on nothing else.

Usage: ``python data/draw_pictures.py [OUT_DIR]``
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Array = NDArray[Any]
Colour = tuple[int, int, int]
Pixel = tuple[float, float]
Pixel3 = tuple[float, float, float]

# --------------------------------------------------------------------------
# Toolbox
# --------------------------------------------------------------------------


def mix(a: Any, b: Any, t: Any) -> Array:
    """Blend from `a` (t = 0) to `b` (t = 1)."""
    blend: Array = a + (b - a) * t
    return blend


def ramp(low: float | Array, high: float | Array, x: Array) -> Array:
    """Rise smoothly from 0 at `low` to 1 at `high` (Hermite step)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    step: Array = t * t * (3 - 2 * t)
    return step


def tint(red: float, green: float, blue: float) -> Array:
    """Return a linear colour."""
    return np.array([red, green, blue], np.float32)


def unit(vectors: Array) -> Array:
    """Scale vectors along the last axis to length one."""
    return vectors / np.sqrt(dot(vectors, vectors))[..., None]


def dot(a: Array, b: Array) -> Array:
    """Return inner products along the last axis."""
    products: Array = np.einsum("...i,...i->...", a, b)
    return products


def cloth(rng: Generator, shape: tuple[int, int], beta: float = 1.0) -> Array:
    """Return periodic noise of amplitude 1/f**beta, mean 0 and deviation 1."""
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None, :]
    radius = np.hypot(fy, fx)
    radius[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) / radius**beta
    field = np.fft.irfft2(spectrum, shape)
    even: Array = (field / field.std()).astype(np.float32)
    return even


def lookup(texture: Array, u: Array, v: Array) -> Array:
    """Sample a periodic texture bilinearly; one tile is one unit of `u`, `v`."""
    rows, columns = texture.shape[:2]
    x, y = u * columns, v * rows
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    i, j = x0.astype(np.int64) % columns, y0.astype(np.int64) % rows
    i1, j1 = (i + 1) % columns, (j + 1) % rows
    top = mix(texture[j, i], texture[j, i1], fx)
    return mix(top, mix(texture[j1, i], texture[j1, i1], fx), fy)


def pick(image: Array, x: Array, y: Array) -> Array:
    """Sample an image at the nearest pixel, holding its edges."""
    rows, columns = image.shape[:2]
    i = np.clip(x, 0, columns - 1).astype(np.int64)
    j = np.clip(y, 0, rows - 1).astype(np.int64)
    return image[j, i]


def blur(image: Array, sigma: float) -> Array:
    """Blur over the first two axes with a Gaussian and mirrored edges."""
    pad = int(3 * sigma) + 1
    wide = np.pad(image, [(pad, pad), (pad, pad)] + [(0, 0)] * (image.ndim - 2), "symmetric")
    fy = np.fft.fftfreq(wide.shape[0])[:, None]
    fx = np.fft.rfftfreq(wide.shape[1])[None, :]
    gain = np.exp(-2 * (np.pi * sigma) ** 2 * (fy * fy + fx * fx))
    gain = gain.reshape(gain.shape + (1,) * (image.ndim - 2))
    soft = np.fft.irfft2(np.fft.rfft2(wide, axes=(0, 1)) * gain, wide.shape[:2], axes=(0, 1))
    return soft[pad:-pad, pad:-pad].astype(np.float32)


def halve(image: Array) -> Array:
    """Average 2 x 2 pixels: scenes are drawn twice as large as they are kept."""
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    small: Array = image.reshape(rows, 2, columns, 2, -1).mean((1, 3))
    return small


def chance(*keys: Any) -> Array:
    """Return numbers in [0, 1) that depend on nothing but integer `keys`."""
    mixed = np.array([2166136261], np.uint32)
    for key in keys:
        mixed = (mixed ^ np.asarray(key).astype(np.int64).astype(np.uint32)) * np.uint32(16777619)
        mixed = mixed ^ (mixed >> np.uint32(15))
        mixed = mixed * np.uint32(2246822519)
        mixed = mixed ^ (mixed >> np.uint32(13))
    return (mixed / np.float64(2**32)).astype(np.float32)


def frame(width: int, height: int, horizon: float) -> tuple[Array, Array]:
    """Return x and y of each pixel in picture heights, y upward from the horizon."""
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / height
    y = horizon - (np.arange(height, dtype=np.float32) + 0.5) / height
    return np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))


def paint(
    size: tuple[int, int], draw: Callable[[ImageDraw.ImageDraw], None]
) -> tuple[Array, Array]:
    """Return linear colour and opacity of what `draw` puts on an empty sheet."""
    sheet = Image.new("RGBA", size)
    draw(ImageDraw.Draw(sheet))
    pixels = np.asarray(sheet, np.float32) / 255
    return pixels[..., :3] ** 2.2, pixels[..., 3:]


def develop(
    light: Array, rng: Generator, exposure: float = 1.0, bloom: float = 0.06, grain: float = 0.008
) -> Image.Image:
    """Turn linear light into a picture: lens, film curve, grain, 8 bits."""
    light = np.minimum(light, 40) * exposure
    rows, columns = light.shape[:2]
    for share, sigma in ((0.6, rows / 200), (0.3, rows / 60), (0.1, rows / 14)):
        light = light + bloom * share * blur(np.minimum(light, 12), sigma)
    x, y = frame(columns, rows, 0.5)
    light = light * (1 - 0.35 * (x * x + y * y)[..., None])
    film = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    film = np.clip(film, 0, 1) ** (1 / 2.2)
    clumps = blur(rng.standard_normal((rows, columns)), 0.5)
    film = film + grain * (clumps / clumps.std() * (0.4 + 0.6 * (1 - film.mean(-1))))[..., None]
    return Image.fromarray((np.clip(film, 0, 1) * 255 + 0.5).astype(np.uint8))


# --------------------------------------------------------------------------
# Harbour: sunset over water
# --------------------------------------------------------------------------


def evening_sky(way: Array, sun: Array, clouds: Array) -> Array:
    """Return the light from directions `way`: a low sun behind broken cloud."""
    way = unit(way)
    up = np.abs(way[..., 1])
    near = np.clip(way @ sun, 0, 1)
    base = mix(tint(1.25, 0.5, 0.16), tint(0.72, 0.36, 0.3), ramp(0.0, 0.16, up)[..., None])
    base = mix(base, tint(0.1, 0.2, 0.46), ramp(0.06, 0.42, up)[..., None])
    glow = (
        0.6 * near[..., None] ** 12 * tint(1.0, 0.42, 0.12)
        + 1.6 * near[..., None] ** 120 * tint(1.0, 0.6, 0.22)
        + 30 * ramp(0.99955, 0.9997, near)[..., None] * tint(1.0, 0.8, 0.5)
    )
    reach = 1 / (up + 0.06)
    u, v = 0.055 * way[..., 0] * reach + 0.13, 0.05 * way[..., 2] * reach + 0.4
    thick = lookup(clouds, u, v)
    toward = lookup(clouds, u + 0.006 * sun[0], v + 0.012)
    cover = ramp(-0.4, 0.9, thick) * ramp(0.0, 0.07, up)
    rim = np.clip(0.4 + 1.6 * (thick - toward), 0, 1.8)
    body = mix(tint(0.09, 0.07, 0.11), tint(0.09, 0.08, 0.14), ramp(0.1, 0.5, up)[..., None])
    fire = rim[..., None] * mix(tint(0.3, 0.14, 0.13), tint(1.6, 0.62, 0.22), near[..., None] ** 5)
    return mix(base + glow, body + fire, 0.88 * cover[..., None])


def shoreline(rng: Generator, x: Array, rough: float) -> Array:
    """Return a fractal skyline over `x`, about -1 to 1."""
    line = np.zeros_like(x)
    for f in 2.0 ** np.arange(9):
        a, b, c = rng.uniform(0, 6.28, 3)
        waves = np.sin(2.1 * f * x + a), np.sin(3.3 * f * x + b), np.sin(5.9 * f * x + c)
        line += 0.5 * f**-rough * (waves[0] + 0.7 * waves[1] + 0.4 * waves[2])
    return line


def village(
    draw: ImageDraw.ImageDraw, rng: Generator, span: Pixel, ground: float, size: float
) -> None:
    """Draw rows of gabled houses with some lit windows along the quay."""
    for row in range(2, -1, -1):
        x = span[0] + rng.uniform(0, size)
        fade = 1 - 0.13 * row
        while x < span[1] - row * size * 2:
            w, h = size * rng.uniform(0.8, 1.6), size * rng.uniform(0.7, 1.5)
            foot = ground - row * size * rng.uniform(0.75, 0.95)
            tone = rng.uniform(26, 96) * (1.3 - 0.3 * fade)
            wall = tuple(int(tone * c) for c in rng.normal((1.15, 0.9, 0.8), 0.1))
            roof = (int(tone * 1.0), int(tone * 0.6), int(tone * 0.56))
            draw.rectangle((x, foot - h, x + w, ground), fill=(*wall, 255))
            peak = foot - h - w * rng.uniform(0.25, 0.45)
            draw.polygon(
                ((x - 2, foot - h), (x + w / 2, peak), (x + w + 2, foot - h)), fill=(*roof, 255)
            )
            for i in range(int(w // 9)):
                for j in range(int(h // 12)):
                    if rng.random() < 0.25:
                        left, top = x + 4 + 9 * i, foot - h + 4 + 12 * j
                        draw.rectangle(
                            (left, top, left + 3, top + 5),
                            fill=(255, int(rng.uniform(160, 215)), 96, 255),
                        )
            x += w * rng.uniform(0.8, 1.25)


def sailing_boat(
    draw: ImageDraw.ImageDraw, rng: Generator, at: Pixel, size: float, flip: int, sails: bool
) -> None:
    """Draw a boat `size` pixels long, or (`flip` = -1) its image in the water."""

    def to(*points: Pixel) -> list[Pixel]:
        return [(at[0] + size * x, at[1] - flip * size * y) for x, y in points]

    lean = rng.uniform(-0.02, 0.02)
    paintwork = (112, 88, 84) if rng.random() < 0.4 else (52, 50, 70)
    mast = (lean - 0.02, 1.35)
    if sails:
        for k in range(24):  # strips, so that the cloth has a soft shade
            a, b = k / 24, (k + 1) / 24
            glow = int(150 + 70 * np.sin(3.1 * a) + rng.uniform(-7, 7))
            edge = [(-0.03 - 0.48 * (1 - t) ** 0.8, 0.24 + 1.06 * t) for t in (a, b)]
            luff = [(-0.02 + lean * t, 0.24 + 1.06 * t) for t in (a, b)]
            draw.polygon(
                to(luff[0], luff[1], edge[1], edge[0]),
                fill=(glow, int(glow * 0.72), int(glow * 0.56), 255),
            )
            edge = [(0.02 + 0.46 * (1 - t), 0.17 + 0.98 * t) for t in (a, b)]
            luff = [(0.0 + 0.1 * (1 - t), 0.2 + 0.95 * t) for t in (a, b)]
            glow = int(glow * 0.9)
            draw.polygon(
                to(luff[0], luff[1], edge[1], edge[0]),
                fill=(glow, int(glow * 0.68), int(glow * 0.5), 255),
            )
    else:
        draw.polygon(
            to((-0.02, 0.27), (-0.44, 0.25), (-0.42, 0.31), (-0.02, 0.34)), fill=(74, 58, 62, 255)
        )
    draw.line(to((-0.01, 0.1), mast), fill=(46, 36, 36, 255), width=max(2, int(size / 60)))
    draw.line(
        to((-0.02, 0.26), (-0.46, 0.24)), fill=(46, 36, 36, 255), width=max(2, int(size / 70))
    )
    for foot in ((0.52, 0.16), (-0.5, 0.14), (0.1, 0.13), (-0.1, 0.13)):
        draw.line(to(mast, foot), fill=(50, 40, 42, 200), width=1)
    for k in range(14):
        a, b = k / 14, (k + 1) / 14
        left = [-0.5 + 0.05 * t for t in (a, b)]
        right = [0.56 - 0.2 * t**1.4 for t in (a, b)]
        top = [0.14 + 0.02 * (k == 0) - 0.15 * t for t in (a, b)]
        body = [int(c * (1.0 - 0.6 * a) + rng.uniform(-4, 4)) for c in paintwork]
        draw.polygon(
            to((left[0], top[0]), (right[0], top[0]), (right[1], top[1]), (left[1], top[1])),
            fill=(*body, 255),
        )
    draw.polygon(to((-0.3, 0.13), (-0.27, 0.21), (0.1, 0.2), (0.2, 0.13)), fill=(96, 74, 70, 255))
    for x in (-0.2, -0.1, 0.0):
        draw.rectangle(sorted_box(to((x, 0.16), (x + 0.05, 0.19))), fill=(232, 170, 96, 255))
    draw.line(
        to((-0.5, 0.155), (0.57, 0.165)), fill=(236, 168, 110, 255), width=max(1, int(size / 90))
    )


def sorted_box(corners: list[Pixel]) -> tuple[float, float, float, float]:
    """Order two opposite corners for Pillow."""
    (x0, y0), (x1, y1) = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def jetty(draw: ImageDraw.ImageDraw, rng: Generator, ground: float, height: int, flip: int) -> None:
    """Draw a plank walk from the lower left toward the horizon, on piles."""
    near, far = 1.2, 9.0

    def to(x: float, up: float, z: float) -> Pixel:
        return height * (0.75 + x / z), ground + height * (0.42 - up * flip) / z

    z = far
    while z > near:
        step = z * 0.02 + 0.03
        tone = rng.uniform(58, 104)
        wood = (int(tone * 1.12), int(tone * 0.84), int(tone * 0.72), 255)
        if flip > 0:
            deck = [
                to(-1.0, 0.16, z),
                to(-0.55, 0.16, z),
                to(-0.55, 0.16, z - step * 0.86),
                to(-1.0, 0.16, z - step * 0.86),
            ]
            draw.polygon(deck, fill=wood)
        side = [
            to(-0.55, 0.16, z),
            to(-0.55, 0.16, z - step),
            to(-0.55, 0.11, z - step),
            to(-0.55, 0.11, z),
        ]
        draw.polygon(side, fill=(40, 28, 28, 255))
        z -= step
    for z in np.geomspace(far, near + 0.25, 9):
        for x in (-1.0, -0.53):
            foot, top = to(x, 0, z), to(x, 0.3, z)
            w = height * 0.045 / z
            for k in range(12):
                a, b = -w + 2 * w * k / 12, -w + 2 * w * (k + 1) / 12
                tone = 30 + 80 * max(0.0, np.sin(3.1 * (k + 3) / 15)) * (k / 12)
                box = sorted_box([(foot[0] + a, foot[1]), (foot[0] + b + 1, top[1])])
                draw.rectangle(
                    box, fill=(int(tone * 1.15), int(tone * 0.78), int(tone * 0.66), 255)
                )


def gull(draw: ImageDraw.ImageDraw, rng: Generator, at: Pixel, size: float) -> None:
    """Draw a gull far off as two bent wings."""
    lift, roll = rng.uniform(0.15, 0.5), rng.uniform(-0.3, 0.3)
    for side in (-1, 1):
        wing = [
            (at[0] + side * size * t, at[1] - size * (lift * np.sin(2.2 * t) + side * roll * t))
            for t in np.linspace(0, 1, 9)
        ]
        draw.line(wing, fill=(52, 40, 48, 235), width=max(2, int(size / 7)))


def harbour(rng: Generator) -> Image.Image:
    """Draw a harbour at sunset: every water pixel reflects a real direction."""
    width, height, focal, horizon = 1600, 1066, 1.15, 0.67
    x, y = frame(width, height, horizon)
    ahead = np.full_like(x, focal)
    clouds, swell = cloth(rng, (1024, 1024), 1.45), cloth(rng, (1024, 1024), 1.15)
    grit = cloth(rng, (height, width), 1.0)
    sun = unit(np.array([0.26, 0.11, focal]))
    light = evening_sky(np.stack([x, y, ahead], -1), sun, clouds)

    # Headlands, far to near, then the village: one sheet, all at the horizon.
    land, mask = np.zeros_like(light), np.zeros((height, width, 1), np.float32)
    sunny = np.exp(-6 * np.hypot(x - 0.26, y - 0.08))[..., None]
    slopes = (
        (0.62, 0.055, 0.03, 0.1),
        (0.42, 0.04, 0.05, -0.6),
        (0.22, 0.02, 0.075, -0.5),
        (0.08, -0.06, 0.12, 0.95),
    )
    for haze, base, rise, side in slopes:
        line = base + rise * (
            0.5 * shoreline(rng, x[0] * 1.3 + side, 1.05)
            + 0.9 * np.abs(x[0] - 0.25)
            - 0.15
            + 0.35 * side * x[0]
        )
        line = np.where(line > 0, line, -1)
        cover = np.clip((line - y) * height + 0.3 * grit, 0, 1)[..., None] * (y > 0)[..., None]
        bark = np.exp(0.28 * grit - 0.1 * np.roll(grit, 3, 0))[..., None] * tint(0.055, 0.05, 0.06)
        air = mix(tint(0.5, 0.27, 0.21), tint(1.7, 0.75, 0.28), sunny)
        glaze = mix(
            bark,
            air,
            np.clip(haze + 0.35 * sunny + 0.25 * haze * np.exp(-y[..., None] * 30), 0, 0.95),
        )
        land, mask = mix(land, glaze, cover), np.maximum(mask, cover)
    edge = int(horizon * height)
    town, solid = paint((width, height), lambda d: village(d, rng, (-20, 560), edge + 2, 21))
    town = mix(town * np.exp(0.2 * grit)[..., None], tint(0.34, 0.19, 0.15), 0.22)
    solid = solid * (y > 0)[..., None]
    land, mask = mix(land, town, solid), np.maximum(mask, solid)

    # Boats and jetty, each painted twice: upright and head down in the water.
    fleet = [
        (0.61, 0.023, 60, False),
        (0.14, 0.033, 84, False),
        (0.245, 0.028, 74, False),
        (0.7, 0.033, 92, False),
    ]
    fleet += [(0.475, 0.05, 150, True), (0.86, 0.125, 400, False)]
    seeds = rng.integers(1 << 30, size=len(fleet) + 1)

    def craft(draw: ImageDraw.ImageDraw, flip: int) -> None:
        for (bx, by, size, sails), seed in zip(fleet, seeds, strict=False):
            sailing_boat(
                draw, default_rng(seed), (bx * width, (horizon + by) * height), size, flip, sails
            )
        jetty(draw, default_rng(seeds[-1]), edge, height, flip)
        birds = default_rng(seeds[0])
        for _ in range(9 if flip > 0 else 0):
            gull(
                draw,
                birds,
                (birds.normal(0.36, 0.08) * width, birds.normal(0.24, 0.06) * height),
                birds.uniform(8, 17),
            )

    boats, boat_mask = paint((width, height), lambda d: craft(d, 1))
    image, image_mask = paint((width, height), lambda d: craft(d, -1))
    boats = boats * np.exp(0.09 * grit)[..., None]

    # Water: slopes of waves at four scales, mirrored directions, Fresnel.
    drop = np.minimum(y, -0.4 / height)
    far = 0.42 / -drop
    east, north = x * far, focal * far
    tilt_x, tilt_z = np.zeros_like(x), np.zeros_like(x)
    for scale, steep in ((0.011, 0.05), (0.037, 0.045), (0.11, 0.03), (0.4, 0.022)):
        u, v, eps = east * scale, north * scale * 1.7, 0.0015
        calm = steep / (1 + (far * scale * 0.5) ** 2)
        here = lookup(swell, u, v)
        tilt_x += calm * (lookup(swell, u + eps, v) - here) * 5
        tilt_z += calm * (lookup(swell, u, v + eps) - here) * 8
    way = unit(np.stack([x, drop, ahead], -1))
    normal = unit(np.stack([-tilt_x, np.ones_like(x), -tilt_z], -1))
    cosine = np.clip(-dot(way, normal)[..., None], 0.02, 1)
    back = way + 2 * cosine * normal
    back[..., 1] = np.abs(back[..., 1]) + 0.002
    mirror = evening_sky(back, sun, clouds)
    px = (back[..., 0] / back[..., 2] * focal + width / height / 2) * height
    py = (horizon - back[..., 1] / back[..., 2] * focal) * height
    mirror = mix(mirror, pick(land, px, py), pick(mask, px, py))
    sway = height * 0.1
    px = np.arange(width) + 0.5 + tilt_x * sway
    py = np.arange(height)[:, None] + 0.5 + tilt_z * sway
    mirror = mix(mirror, pick(image, px, py) * 0.7, pick(image_mask, px, py) * 0.92)
    gloss = 0.03 + 0.97 * (1 - cosine) ** 4
    sea = mirror * gloss + tint(0.018, 0.04, 0.055) * (1 - gloss)

    scene = np.where((y > 0)[..., None], mix(light, land, mask), sea)
    scene = mix(scene, tint(0.75, 0.36, 0.2), 0.35 * np.exp(-np.abs(y) * 70)[..., None])
    scene = mix(scene, boats, boat_mask)
    return develop(halve(scene), rng, exposure=0.5, bloom=0.12)


# --------------------------------------------------------------------------
# Mountains: a height field in perspective, doubled by a lake
# --------------------------------------------------------------------------


def eroded(rng: Generator, x: Array, z: Array, octaves: int = 10) -> Array:
    """Return fractal heights, smoothed where the sum of slopes is steep."""
    table = rng.uniform(-1, 1, (256, 256)).astype(np.float32)
    total, slope_x, slope_z = (np.zeros_like(x) for _ in range(3))
    gain = 1.0
    for _ in range(octaves):
        i, j = np.floor(x), np.floor(z)
        fx, fz = x - i, z - j
        i, j = i.astype(np.int32) & 255, j.astype(np.int32) & 255
        i1, j1 = (i + 1) & 255, (j + 1) & 255
        sx, sz = fx**3 * (fx * (fx * 6 - 15) + 10), fz**3 * (fz * (fz * 6 - 15) + 10)
        a, b, c, d = table[j, i], table[j, i1], table[j1, i], table[j1, i1]
        slope_x += 30 * (fx * (fx - 1)) ** 2 * mix(b - a, d - c, sz)
        slope_z += 30 * (fz * (fz - 1)) ** 2 * mix(c - a, d - b, sx)
        total += gain * mix(mix(a, b, sx), mix(c, d, sx), sz) / (1 + slope_x**2 + slope_z**2)
        gain *= 0.5
        x, z = 1.6 * x - 1.2 * z + 17.3, 1.2 * x + 1.6 * z + 5.1
    return total


def seen(rise: Array, rows: Array) -> Array:
    """Return the depth index first met by each pixel, or the last one for sky."""
    crest = np.maximum.accumulate(rise, 0)
    found = [np.searchsorted(crest[:, k], rows) for k in range(rise.shape[1])]
    return np.stack(found, 1)


def fir(draw: ImageDraw.ImageDraw, rng: Generator, at: Pixel, size: float) -> None:
    """Draw a fir twig by twig, lit from the left."""
    draw.line(
        (at[0], at[1], at[0], at[1] - size), fill=(38, 31, 24, 255), width=max(2, int(size / 50))
    )
    for k in range(int(size * 2.2)):
        t = rng.random() ** 0.8
        reach = (
            size * (0.012 + 0.16 * t**0.85) * rng.uniform(0.3, 1.1) * (0.8 + 0.2 * np.sin(60 * t))
        )
        y = at[1] - size * (1 - 0.93 * t)
        side = rng.choice((-1, 1))
        tone = rng.uniform(0.45, 1.2) * (1.35 if side < 0 else 0.6) * (0.7 + 0.3 * (k > size))
        leaf = (int(44 * tone), int(58 * tone), int(26 * tone), 255)
        bend = rng.uniform(0.1, 0.55)
        middle = (at[0] + side * reach * 0.6, y + reach * bend * 0.25)
        draw.line(
            ((at[0], y - 1), middle, (at[0] + side * reach, y + reach * bend)), fill=leaf, width=2
        )


def mountains(rng: Generator) -> Image.Image:
    """Draw snow peaks behind a lake, from heights on a fan of sight lines."""
    width, height, horizon, eye = 1680, 1120, 0.6, 0.16
    x, y = frame(width, height, horizon)
    margin = 500  # columns left of the picture that may cast shadows into it
    fan = (np.arange(-margin, width, dtype=np.float32) + 0.5 - width / 2) / height
    depth = np.geomspace(0.5, 60, 1300, dtype=np.float32)[:, None]
    east = fan * depth

    relief = eroded(rng, east * 0.16 + 11.4, depth * 0.16 + 3.7 + 0 * east)
    relief = np.clip((relief + 0.75) / 1.6, 0, 1.2)
    shore = 1.3 + 0.22 * depth + 0.5 * np.sin(depth * 0.9) + 0.8 * relief
    sides = ramp(shore, shore + 4 + 0.2 * depth, np.abs(east + 0.4 - 0.05 * depth))
    rear = ramp(7.0, 16.0, depth + 5 * relief - 2)
    land = (
        np.maximum(rear, 0.75 * sides) * (0.18 + 6.2 * relief**1.3)
        - 0.06
        - 0.25 * relief * (1 - rear)
    )
    ground = np.maximum(land, 0)

    # Slopes on the fan, sunlight from the left, shadows by a running maximum.
    across = np.gradient(land, fan, axis=1) / depth
    along = np.gradient(land, depth[:, 0], axis=0) - across * fan
    normal = unit(np.stack([-across, np.ones_like(land), -along], -1))
    sun = unit(np.array([-0.8, 0.5, -0.45], np.float32))
    fall = 0.75 * east
    shade = np.maximum.accumulate(ground + fall, 1) - fall - ground
    beam = np.clip(normal @ sun, 0, 1) * (1 - ramp(0.01, 0.12, shade))

    # What grows or lies there.
    patch = lookup(cloth(rng, (1024, 1024), 1.1), east * 0.11, depth * 0.11 + 0 * east)
    fine = lookup(cloth(rng, (1024, 1024), 0.6), east * 0.9, depth * 0.9 + 0 * east)
    flat = normal[..., 1]
    strata = 0.5 + 0.5 * np.sin(26 * land + 3 * patch)
    cover = mix(
        tint(0.15, 0.125, 0.105), tint(0.29, 0.25, 0.21), (0.6 * strata + 0.12 * patch)[..., None]
    )
    meadow = mix(
        tint(0.05, 0.075, 0.022), tint(0.12, 0.12, 0.04), ramp(-1.0, 1.5, patch)[..., None]
    )
    trees = tint(0.018, 0.035, 0.016) * np.exp(0.55 * fine)[..., None]
    cover = mix(
        cover,
        meadow,
        (ramp(0.55, 0.75, flat + 0.06 * patch) * ramp(2.2, 1.3, land + 0.2 * patch))[..., None],
    )
    woods = (
        ramp(0.5, 0.62, flat + 0.04 * fine)
        * ramp(1.35, 0.95, land + 0.28 * patch + 0.1 * fine)
        * ramp(0.02, 0.05, land)
    )
    cover = mix(cover, trees, woods[..., None])
    snow = ramp(1.6, 2.3, land + 0.3 * patch + 0.1 * fine) * ramp(0.5, 0.72, flat + 0.07 * patch)
    cover = mix(cover, tint(0.85, 0.88, 0.93), snow[..., None])
    lit = cover * (
        beam[..., None] * tint(3.3, 2.75, 2.15)
        + (0.35 + 0.65 * flat[..., None]) * tint(0.32, 0.42, 0.62)
    )
    lit *= np.exp(0.1 * fine)[..., None]
    haze = 1 - np.exp(-(depth / 30) * np.exp(-0.22 * ground))
    lit = mix(lit, tint(0.5, 0.64, 0.86), np.minimum(haze, 0.92)[..., None])

    # Sky with heaps of cloud, then land over it, then both again in the lake.
    mottle = cloth(rng, (1024, 1024), 1.5)
    fan, ground, lit = fan[margin:], ground[:, margin:], lit[:, margin:]

    def view(eye: float, lift: Array, surface: Array) -> tuple[Array, Array]:
        """Return what an eye at that height sees, and where it sees water."""
        reach = 1 / (np.abs(lift) + 0.16)
        u, v = 0.07 * x * reach + 0.62, 0.07 * reach + 0.21
        thick = lookup(mottle, u, v)
        puff = ramp(0.1, 1.6, thick)[..., None]
        side = np.clip(0.75 + 1.2 * (thick - lookup(mottle, u - 0.008, v - 0.006)), 0.35, 1.3)
        blue = mix(
            tint(0.62, 0.76, 0.95), tint(0.1, 0.24, 0.6), ramp(-0.05, 0.6, np.abs(lift))[..., None]
        )
        sky = mix(blue, side[..., None] * tint(1.15, 1.08, 1.02), 0.85 * puff)
        index = seen((surface - eye) / depth, lift[:, 0])
        open_sky = (index == len(depth))[..., None]
        spot = np.minimum(index, len(depth) - 1), np.arange(width)
        return np.where(open_sky, sky, lit[spot]), (surface[spot] <= 0)[..., None] & ~open_sky

    scene, water = view(eye, y, ground)
    upside, _ = view(-eye, -y, np.where(ground > 0, ground, -9))
    far = eye / np.maximum(-y, 0.3 / height)
    waves = cloth(rng, (1024, 1024), 1.0)
    slope = (
        lookup(waves, x * far * 0.9, far * 2.2) * 0.5
        + lookup(waves, x * far * 0.12, far * 0.25) * 0.5
    )
    breeze = ramp(0.2, 1.4, lookup(waves, x * far * 0.03 + 0.3, far * 0.06))
    push = slope * (4 + 16 * breeze) * np.minimum(1, 3 / far)
    mirrored = pick(
        upside, np.arange(width) + 0.4 * push, np.arange(height)[:, None] + 2 * np.abs(push)
    )
    gloss = (0.25 + 0.6 * np.exp(y * 5))[..., None]
    lake = mix(tint(0.015, 0.05, 0.055), mirrored, gloss) + 0.05 * breeze[..., None] * tint(
        0.5, 0.65, 0.9
    )
    scene = np.where(water, lake, scene)

    # The near bank and its firs.
    grit = cloth(rng, (height, width), 0.9)
    rim = (
        -0.37
        + 0.1 * ramp(0.3, 0.9, -x[0])
        + 0.14 * ramp(0.35, 0.8, x[0])
        + 0.006 * shoreline(rng, x[0] * 6, 0.6)
    )
    bank = np.clip((rim - y) * height + 4 * grit, 0, 1)[..., None]
    turf = mix(tint(0.03, 0.045, 0.014), tint(0.13, 0.13, 0.045), ramp(-1.2, 2.2, grit)[..., None])
    scene = mix(scene, turf * np.exp(0.3 * np.roll(grit, 7, 1))[..., None], bank)

    def wood(draw: ImageDraw.ImageDraw) -> None:
        spots = [
            (-0.7, 330),
            (-0.63, 470),
            (-0.55, 260),
            (-0.49, 180),
            (0.46, 170),
            (0.54, 300),
            (0.6, 240),
            (0.68, 420),
            (0.74, 380),
        ]
        for fx, size in spots:
            column = int((fx + 0.75) * height)
            foot = (horizon - rim[min(column, width - 1)]) * height + 22
            fir(draw, rng, (column, foot), size)

    firs, firs_mask = paint((width, height), wood)
    scene = mix(scene, firs * 1.3, firs_mask)
    return develop(halve(scene), rng, exposure=0.72, bloom=0.05, grain=0.01)


# --------------------------------------------------------------------------
# Pebbles: dead leaves with a third dimension
# --------------------------------------------------------------------------

STONES = [
    tint(0.20, 0.21, 0.22),  # slate
    tint(0.10, 0.11, 0.125),  # basalt
    tint(0.32, 0.30, 0.27),  # limestone
    tint(0.36, 0.28, 0.19),  # sandstone
    tint(0.25, 0.12, 0.085),  # jasper
    tint(0.50, 0.47, 0.42),  # quartz
    tint(0.16, 0.19, 0.16),  # serpentine
    tint(0.28, 0.24, 0.22),  # granite
    tint(0.14, 0.16, 0.20),  # schist
]


def pebbles(rng: Generator) -> Image.Image:
    """Draw a beach from above: stones dropped on stones, lit from one side."""
    width, height = 1440, 1080
    stain, grain, vein = (cloth(rng, (1024, 1024), beta) for beta in (1.3, 0.35, 1.6))
    top = -30 + 3 * cloth(rng, (height, width), 1.2)
    stone = tint(0.17, 0.14, 0.105) * np.exp(0.25 * cloth(rng, (height, width), 0.5))[..., None]
    sizes = np.concatenate(
        [
            rng.uniform(9, 30, 2600),
            26 * rng.pareto(2.2, 420) + 30,
            [150, 128, 118],
            rng.uniform(9, 22, 70),
        ]
    )
    for radius in np.minimum(sizes, 150):
        cx, cy = rng.uniform(-20, width + 20), rng.uniform(-20, height + 20)
        reach = int(1.5 * radius)
        x0, x1 = max(0, int(cx) - reach), min(width, int(cx) + reach)
        y0, y1 = max(0, int(cy) - reach), min(height, int(cy) + reach)
        if x0 >= x1 or y0 >= y1:
            continue
        dy, dx = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        dx, dy = (dx - cx) / radius, (dy - cy) / radius
        turn, squash = rng.uniform(0, np.pi), rng.uniform(0.62, 0.95)
        a, b = (
            np.cos(turn) * dx + np.sin(turn) * dy,
            (np.cos(turn) * dy - np.sin(turn) * dx) / squash,
        )
        angle = np.arctan2(b, a)
        bumps = sum(
            rng.uniform(0.0, 0.16 / k) * np.cos(k * angle + rng.uniform(0, 6.3))
            for k in (2, 3, 4, 5)
        )
        rho = np.hypot(a, b) / (1 + bumps)
        inside = rho < 1
        if not inside.any():
            continue
        dome = np.where(inside, (1 - np.minimum(rho, 1) ** 2.6) ** 0.55, 0)
        u, v = rng.random(2)
        scale = 1 / 900
        spots = lookup(stain, u + dx * radius * scale, v + dy * radius * scale)
        speck = lookup(grain, u + dx * radius * scale, v + dy * radius * scale)
        tip = rng.uniform(-0.14, 0.14, 2)
        level = radius * (0.62 * dome + tip[0] * dx + tip[1] * dy) + 0.7 * spots
        level += 0.9 * np.quantile((top[y0:y1, x0:x1] - level)[inside], 0.9)
        colour = STONES[rng.integers(len(STONES))] * rng.uniform(0.7, 1.3) * rng.normal(1, 0.02, 3)
        spotty, grainy = rng.uniform(0.06, 0.26), rng.uniform(0.02, 0.2)
        face = colour * np.exp(spotty * spots + grainy * speck)[..., None]
        if rng.random() < 0.3:  # a vein of quartz
            seam = (
                lookup(vein, v + dx * radius / 1500, u + dy * radius / 1500)
                + rng.uniform(0.5, 2) * a
            )
            face = mix(
                face,
                tint(0.55, 0.52, 0.47),
                0.75 * np.exp(-((seam / rng.uniform(0.03, 0.1)) ** 2))[..., None],
            )
        wins = inside & (level > top[y0:y1, x0:x1])
        top[y0:y1, x0:x1][wins] = level[wins]
        stone[y0:y1, x0:x1][wins] = face[wins]

    gy, gx = np.gradient(
        top + 0.3 * lookup(grain, *np.meshgrid(np.arange(width) / 700, np.arange(height) / 700))
    )
    normal = unit(np.stack([-gx, -gy, np.full_like(gx, 0.9)], -1))
    sun = unit(np.array([-0.72, -0.5, 0.62]))
    shade = np.zeros_like(top)
    for step in range(2, 110, 2):  # walk toward the sun; note what stands in the way
        shift = (round(-step * sun[1] / 0.88), round(-step * sun[0] / 0.88))
        shade = np.maximum(
            shade, (np.roll(top, shift, (0, 1)) - top - 0.72 * step) / (2 + 0.12 * step)
        )
    beam = np.clip(normal @ sun, 0, 1) * (1 - np.clip(shade, 0, 1))
    pits = sum(np.clip((blur(top, s) - top) / (1.6 * s), -0.35, 1) for s in (5, 14, 36))
    open_sky = np.exp(-1.5 * pits) * (0.45 + 0.55 * normal[..., 2])
    # The last wave has wetted the lower right corner.
    x, y = frame(width, height, 0.5)
    wet = ramp(0.12, 0.22, 0.75 * x - y + 0.05 * cloth(rng, (height, width), 1.6))[..., None]
    gleam = np.clip(normal @ unit(sun + np.array([0, 0, 1.0])), 0, 1)[..., None]
    stone = mix(stone, 0.75 * stone**1.18, wet)
    light = stone * (
        beam[..., None] * tint(3.6, 3.15, 2.5) + open_sky[..., None] * tint(0.62, 0.74, 0.95)
    )
    light += (1 - np.clip(shade, 0, 1))[..., None] * mix(
        0.05 * gleam**12, 1.1 * gleam**70 + 0.05 * gleam**8, wet
    )
    return develop(halve(light), rng, exposure=0.55, bloom=0.05, grain=0.01)


# --------------------------------------------------------------------------
# Still life: a small path tracer for ellipsoids on a table
# --------------------------------------------------------------------------


class Solid(NamedTuple):
    """An ellipsoid, open above the local height `cut` (so bowls are solids too)."""

    kind: str
    centre: Array
    radii: Array
    turn: Array
    cut: float = 2.0
    colour: Array = tint(0.5, 0.5, 0.5)


def rotation(tilt: float, heading: float, spin: float) -> Array:
    """Return a rotation: turn by `spin`, lean by `tilt`, toward `heading`."""

    def about_y(t: float) -> Array:
        return np.array([[np.cos(t), 0, np.sin(t)], [0, 1, 0], [-np.sin(t), 0, np.cos(t)]])

    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    turn: Array = about_y(heading) @ lean @ about_y(spin)
    return turn.astype(np.float32)


def table_setting(rng: Generator) -> list[list[Solid]]:
    """Return groups of solids; rays test a group only if they pass near it."""

    def solid(
        kind: str, at: Pixel3, radii: Pixel3, tilt: float = 0.0, cut: float = 2.0,
        colour: Array = STONES[0], heading: float | None = None,
    ) -> Solid:  # fmt: skip
        spin = rng.uniform(0, 6.28)
        heading = rng.uniform(0, 6.28) if heading is None else heading
        return Solid(kind, tint(*at), tint(*radii), rotation(tilt, heading, spin), cut, colour)

    def apple(at: Pixel3, size: float, tilt: float, colour: Array) -> list[Solid]:
        body = solid("apple", at, (size, 0.9 * size, size), tilt, colour=colour)
        up = body.turn @ tint(0, 1, 0)
        stem = Solid("stem", body.centre + up * size * 0.95, tint(0.016, 0.13, 0.016), body.turn)
        return [body, stem]

    def citron(at: Pixel3, tilt: float, heading: float) -> list[Solid]:
        body = solid("lemon", at, (0.29, 0.39, 0.29), tilt, colour=lemon, heading=heading)
        end = body.turn @ tint(0, 0.36, 0)
        nubs = [
            body._replace(centre=body.centre + k * end, radii=tint(0.085, 0.11, 0.085))
            for k in (-1, 1)
        ]
        return [body, *nubs]

    red, green, orange, lemon = (
        tint(0.42, 0.02, 0.015),
        tint(0.3, 0.4, 0.05),
        tint(0.85, 0.27, 0.015),
        tint(0.85, 0.52, 0.03),
    )
    bowl = [
        solid("bowl", (0.35, 0.92, 0.25), (1.22, 0.9, 1.22), cut=0.02),
        solid("bowl", (0.35, 0.92, 0.25), (1.16, 0.84, 1.16), cut=0.02),
        solid("bowl", (0.35, 0.03, 0.25), (0.55, 0.1, 0.55)),
    ]
    heap = [
        solid("orange", (-0.2, 0.98, 0.0), (0.43, 0.42, 0.43), 0.5, colour=orange),
        solid("orange", (0.9, 0.97, 0.02), (0.42, 0.41, 0.42), 1.0, colour=orange),
        solid("orange", (0.3, 0.95, 0.82), (0.44, 0.43, 0.44), 0.3, colour=orange),
        solid("orange", (0.36, 0.8, -0.35), (0.41, 0.4, 0.41), 0.8, colour=orange * 0.95),
        *apple((0.32, 1.42, 0.2), 0.42, 0.35, red),
        *apple((1.12, 1.18, 0.62), 0.36, 0.6, green),
        *citron((-0.42, 1.3, 0.55), 1.3, 1.2),
    ]
    grapes = [
        solid(
            "grape",
            (-1.75 + 0.62 * a, 0.155 + 0.25 * c, -0.25 + 0.42 * b),
            (0.155, 0.17, 0.155),
            rng.uniform(0, 3),
            colour=tint(0.07, 0.012, 0.04) * rng.uniform(0.6, 1.6),
        )
        for a, b, c in bunch(rng, 34)
    ]
    loose = [
        *apple((1.95, 0.39, -0.45), 0.43, 0.25, red * 0.9),
        *citron((-0.62, 0.29, -1.25), 1.57, 0.9),
        *citron((0.42, 0.29, -1.5), 1.57, 2.1),
    ]
    vase = [
        solid("jug", (-1.55, 0.85, 1.3), (0.74, 0.88, 0.74), cut=0.9),
        solid("glaze", (-1.55, 1.9, 1.3), (0.3, 0.75, 0.3), cut=0.45),
        solid("glaze", (-1.55, 2.42, 1.3), (0.43, 0.3, 0.43), cut=-0.15),
    ]
    return [bowl + heap, grapes, loose[:2], loose[2:], vase]


def bunch(rng: Generator, count: int) -> Iterator[tuple[float, float, float]]:
    """Yield places of grapes in a flat heap, none too close to another."""
    placed: list[Array] = []
    for layer, share in ((0.0, 0.55), (1.0, 0.33), (1.9, 0.12)):
        goal = len(placed) + share * count
        for _ in range(4000):
            spot = np.array([*rng.uniform(-1, 1, 2) * (1 - 0.28 * layer), layer])
            room = all(
                np.hypot(0.62 * (s - spot)[0], 0.42 * (s - spot)[1]) > 0.25
                for s in placed
                if s[2] == layer
            )
            if np.hypot(spot[0], spot[1]) < 1 - 0.28 * layer and room:
                placed.append(spot)
            if len(placed) >= goal:
                break
    for spot in placed:
        yield float(spot[0]), float(spot[1]), float(spot[2])


class Hit(NamedTuple):
    """Where rays arrive: distance, solid (-1 table, -2 wall, -3 none), normal, local place."""

    reach: Array
    which: Array
    normal: Array
    local: Array


def meet(groups: list[list[Solid]], start: Array, way: Array) -> Hit:
    """Intersect rays with the table, the wall and all solids."""
    count = len(start)
    to_table = np.where(way[:, 1] < -1e-5, -start[:, 1] / np.minimum(way[:, 1], -1e-5), np.inf)
    to_wall = np.where(way[:, 2] > 1e-5, (3.4 - start[:, 2]) / np.maximum(way[:, 2], 1e-5), np.inf)
    reach = np.minimum(
        np.where(to_table > 1e-3, to_table, np.inf), np.where(to_wall > 1e-3, to_wall, np.inf)
    )
    which = np.where(np.isinf(reach), -3, np.where(to_table == reach, -1, -2))
    normal = np.where((which == -1)[:, None], tint(0, 1, 0), tint(0, 0, -1))
    local = np.zeros((count, 3), np.float32)
    number = 0
    for group in groups:
        corners = [part.centre for part in group]
        middle = np.mean(corners, 0)
        bound = max(np.linalg.norm(p.centre - middle) + p.radii.max() for p in group)
        offset = middle - start
        along = dot(offset, way)
        miss = dot(offset, offset) - along * along
        rays = np.flatnonzero((miss < bound * bound) & (along > -bound))
        here, there = start[rays], way[rays]
        for part in group:
            inward = part.turn / part.radii  # world to unit sphere
            o, d = (here - part.centre) @ inward, there @ inward
            a, b, c = dot(d, d), dot(o, d), dot(o, o) - 1
            root = b * b - a * c
            hit = np.flatnonzero(root > 0)
            o, d, a, b, root = o[hit], d[hit], a[hit], b[hit], np.sqrt(root[hit])
            near, far = (-b - root) / a, (-b + root) / a
            for t in (far, near) if part.cut < 1 else (near,):
                place = o + t[:, None] * d
                target = rays[hit]
                won = (t > 1e-3) & (t < reach[target]) & (place[:, 1] < part.cut)
                target, place = target[won], place[won]
                reach[target], which[target], local[target] = t[won], number, place
                normal[target] = unit(place @ inward.T)
            number += 1
    return Hit(reach, which, normal, local)


WINDOW = np.array([[-4.6, 1.4, -2.6], [0, 3.0, 0], [0, 0, 3.0]], np.float32)  # corner, two sides
DAYLIGHT = tint(9.5, 9.0, 8.2)


def room(start: Array, way: Array) -> Array:
    """Return the light of the unlit room, and of the window where a ray meets it."""
    corner, up, deep = WINDOW
    t = (corner[0] - start[:, 0]) / np.where(way[:, 0] < -1e-4, way[:, 0], np.inf)
    place = start + np.where(t > 0, t, 0)[:, None] * way
    a, b = (place[:, 1] - corner[1]) / up[1], (place[:, 2] - corner[2]) / deep[2]
    pane = (t > 0) & (np.abs(a - 0.5) < 0.5) & (np.abs(b - 0.5) < 0.5)
    pane &= (np.abs(a - 0.5) > 0.025) & (np.abs(b - 0.5) > 0.025)
    dim = tint(0.17, 0.15, 0.13) * (0.6 + 0.5 * way[:, 1:2])
    return np.where(pane[:, None], DAYLIGHT, dim)


def surface(
    rng_cloth: tuple[Array, Array], parts: list[Solid], place: Array, hit: Hit
) -> tuple[Array, Array, Array]:
    """Return colour, gloss and bent normal of what rays hit."""
    rough, fine = rng_cloth
    colour = np.full((len(place), 3), 0.5, np.float32)
    gloss = np.full(len(place), 0.04, np.float32)
    normal = hit.normal.copy()
    x, y, z = place.T

    on = hit.which == -1  # planks
    u, v = x[on], z[on]
    plank = np.floor(v / 0.85 + 10)
    shift = chance(plank) * 7
    ring = lookup(rough, u * 0.025 + shift, v * 0.2 + shift) * 2.2 + 0.5 * plank
    streak = lookup(fine, u * 0.035 + shift, v * 0.9)
    wood = mix(
        tint(0.23, 0.105, 0.045),
        tint(0.4, 0.21, 0.095),
        (0.5 + 0.5 * np.sin(9 * ring))[:, None] * 0.6 + 0.2 * chance(plank)[:, None],
    )
    wood *= (
        np.exp(0.2 * streak)[:, None]
        * (0.25 + 0.75 * ramp(0.0, 0.012, np.abs(v / 0.85 + 10 - np.round(v / 0.85 + 10))))[:, None]
    )
    colour[on] = wood
    normal[on, 2] += 0.02 * streak
    gloss[on] = 0.045

    on = hit.which == -2  # plaster
    u, v = x[on] * 0.11, y[on] * 0.11
    stain = lookup(rough, u, v)
    colour[on] = (
        tint(0.2, 0.23, 0.2) * np.exp(0.16 * stain + 0.035 * lookup(fine, 3 * u, 3 * v))[:, None]
    )
    normal[on, :2] += 0.14 * np.stack(
        [
            lookup(rough, 2 * u + 0.004, 2 * v) - lookup(rough, 2 * u, 2 * v),
            lookup(rough, 2 * u, 2 * v + 0.004) - lookup(rough, 2 * u, 2 * v),
        ],
        1,
    )
    gloss[on] = 0

    for number, part in enumerate(parts):
        on = np.flatnonzero(hit.which == number)
        if not on.size:
            continue
        a, b, c = hit.local[on].T
        turn, rise = np.arctan2(c, a) / (2 * np.pi), np.arcsin(np.clip(b, -1, 1)) / np.pi
        spots, pores = lookup(rough, turn + 0.37 * number, rise * 0.5), lookup(fine, turn * 2, rise)
        skin = part.colour * np.exp(0.1 * spots)[:, None]
        dent: Array = np.zeros((on.size, 3), np.float32)
        if part.kind in ("orange", "lemon"):
            dent = 0.05 * np.stack(
                [pores, lookup(fine, turn * 2 + 0.3, rise), lookup(fine, turn * 2 + 0.6, rise)], 1
            )
            skin = mix(
                skin, skin * tint(0.7, 1.05, 0.7), (0.25 * ramp(0.86, 1, np.abs(b)))[:, None]
            )
        elif part.kind == "apple":
            flush = ramp(-2.6, 0.6, spots + 1.2 * a + 0.7 * lookup(fine, turn * 3, rise * 0.12))
            skin = mix(tint(0.62, 0.5, 0.09), skin, (0.3 + 0.7 * flush)[:, None])
            skin = mix(skin, tint(0.33, 0.3, 0.08), (0.8 * ramp(0.9, 1.0, b))[:, None])
            skin = mix(skin, tint(0.75, 0.6, 0.4), 0.35 * (pores > 2.1)[:, None])
            dent = -(0.9 * ramp(0.86, 1.0, b))[:, None] * np.stack([-a, 0 * a, -c], 1) * 3
        elif part.kind == "stem":
            skin = np.broadcast_to(tint(0.1, 0.055, 0.025), skin.shape)
        elif part.kind == "grape":
            dust = ramp(-0.6, 1.8, spots + 0.3 * pores)
            skin = mix(part.colour, tint(0.2, 0.19, 0.3), 0.4 * dust[:, None])
        elif part.kind == "bowl":
            glaze = np.exp(0.05 * spots)[:, None] * tint(0.66, 0.66, 0.62)
            leaf = np.cos(2 * np.pi * 18 * turn) * 0.09 + 0.0 * b
            band = (
                ramp(0.05, 0.04, np.abs(b + 0.08))
                + ramp(0.02, 0.012, np.abs(b + 0.42))
                + ramp(0.02, 0.01, np.abs(b + 0.25 + leaf))
                + ramp(0.02, 0.01, np.abs(b + 0.25 - leaf))
            )
            skin = mix(
                glaze,
                tint(0.02, 0.06, 0.24) * np.exp(0.2 * spots)[:, None],
                np.minimum(band, 1)[:, None],
            )
        elif part.kind in ("jug", "glaze"):
            drip = ramp(-0.25, 0.2, b + 0.35 + 0.16 * spots + 2 * (part.kind == "glaze"))
            skin = (
                mix(tint(0.3, 0.17, 0.09), tint(0.03, 0.12, 0.12), drip[:, None])
                * np.exp(0.12 * spots + 0.05 * pores)[:, None]
            )
        colour[on] = skin
        normal[on] += dent @ part.turn.T
        gloss[on] = {"orange": 0.03, "lemon": 0.03, "stem": 0.0, "apple": 0.05, "bowl": 0.06}.get(
            part.kind, 0.045
        )
    return np.clip(colour, 0, 0.95), gloss, unit(normal)


def stilllife(rng: Generator, passes: int = 10) -> Image.Image:
    """Trace fruit by window light; every pass shifts pixel, lens and light."""
    width, height = 768, 512
    count = width * height
    groups = table_setting(rng)
    parts = [part for group in groups for part in group]
    cloths = cloth(rng, (512, 512), 1.25), cloth(rng, (512, 512), 0.4)
    eye, aim = tint(0.1, 2.5, -6.6), tint(0.12, 0.92, 0)
    front = unit(aim - eye)
    right = unit(np.cross(tint(0, 1, 0), front))
    above = np.cross(front, right)
    x, y = (axis.reshape(-1, 1) for axis in frame(width, height, 0.5))
    total = np.zeros((count, 3), np.float32)
    offsets = rng.random((8, count, 1), np.float32)
    strides = (np.sqrt([2, 3, 5, 7, 11, 13, 17, 19]) % 1).astype(np.float32)[:, None, None]
    for turn in range(passes):
        dice = (offsets + turn * strides) % 1  # evenly spread over the passes
        goal = eye + 6.1 * (
            front + 0.56 * ((x + dice[0] / height) * right + (y + dice[1] / height) * above)
        )
        lens = (
            0.05
            * np.sqrt(dice[2])
            * (np.cos(6.2832 * dice[3]) * right + np.sin(6.2832 * dice[3]) * above)
        )
        start, way = eye + lens, unit(goal - eye - lens)
        rays = np.arange(count)
        weight = np.ones_like(total)
        for bounce in range(2):
            hit = meet(groups, start, way)
            lost = hit.which == -3
            total[rays[lost]] += weight[rays[lost]] * np.minimum(room(start[lost], way[lost]), 0.3)
            keep = np.flatnonzero(~lost)
            hit = Hit(*(field[keep] for field in hit))
            rays, way = rays[keep], way[keep]
            start = start[keep] + hit.reach[:, None] * way
            colour, gloss, normal = surface(cloths, parts, start, hit)
            front_side = np.where(dot(hit.normal, way) > 0, -1, 1)[:, None].astype(np.float32)
            start = start + 2e-3 * front_side * hit.normal
            normal = front_side * normal
            facing = np.minimum(dot(normal, way), -0.02)
            share = weight[rays] * colour

            # Light straight from a point of the window.
            spot = WINDOW[0] + dice[4][rays] * WINDOW[1] + dice[5][rays] * WINDOW[2]
            path = spot - start
            far = np.sqrt(dot(path, path))
            path /= far[:, None]
            lit = 9 / np.pi * np.maximum(dot(path, normal), 0) * np.maximum(-path[:, 0], 0) / far**2
            ask = np.flatnonzero(lit > 0)
            lit[ask] *= meet(groups, start[ask], path[ask]).reach >= far[ask]
            total[rays] += share * DAYLIGHT * lit[:, None]

            # The image of the window in skin and glaze; the table blurs what it mirrors.
            scatter = rng.standard_normal((rays.size, 3), np.float32)
            mirror = (gloss + (gloss > 0) * 0.7 * (1 + facing) ** 5)[:, None]
            gleam = way - 2 * facing[:, None] * normal
            away = normal + 0.999 * unit(scatter)
            if bounce == 0:
                glazed = (hit.which >= 0)[:, None]
                total[rays] += glazed * mirror * room(start, unit(gleam))
                polish = ~glazed & (dice[6][rays] < 3 * mirror)
                weight[rays] = np.where(
                    polish,
                    1 / 3,
                    share
                    * np.where(glazed, 1, 1 / (1 - np.minimum(3 * mirror, 0.9)))
                    * (1 - mirror),
                )
                away = np.where(polish, gleam + 0.04 * scatter, away)
                way = unit(away)
            else:
                total[rays] += share * 0.16
    light = (total / passes).reshape(height, width, 3)
    return develop(light, rng, exposure=1.45, bloom=0.05)


# --------------------------------------------------------------------------
# Street: lit windows and wet asphalt after rain
# --------------------------------------------------------------------------


class Block(NamedTuple):
    """A box on the street: a house, a post, a car."""

    kind: str
    low: Array
    high: Array
    colour: Array


# Metres across the street (x) and along it (z).
TOWERS: list[tuple[float, float, float, float]] = [  # x, width, height, z
    (-9, 22, 62, 250),
    (16, 20, 84, 290),
    (4, 12, 122, 340),
    (-24, 16, 100, 360),
    (34, 24, 70, 300),
]
LAMPS: list[Pixel] = [(side * 6.1, float(z)) for z in range(9, 200, 19) for side in (-1, 1)]
CARS: list[tuple[float, float, int]] = [  # x, z, 1 if driving away
    (2.7, 21.0, 1),
    (2.5, 44.0, 1),
    (-2.4, 36.0, -1),
    (-2.2, 70.0, -1),
    (2.4, 80.0, 1),
    (-2.4, 120.0, -1),
]
WALKERS: list[tuple[float, float, float, int]] = [  # x, z, height, which figure
    (-0.35, 11.0, 2.15, 0),
    (4.9, 15.0, 2.1, 1),
    (-5.0, 21.0, 2.1, 1),
    (5.4, 30.0, 2.1, 0),
    (-0.4, 48.0, 2.1, 1),
]


def town(rng: Generator) -> list[Block]:
    """Return houses on both sides, towers at the end, lamp posts and cars."""
    blocks: list[Block] = []

    def add(kind: str, x: Pixel, y: Pixel, z: Pixel, colour: Array) -> None:
        low, high = sorted(x)
        blocks.append(Block(kind, tint(low, y[0], z[0]), tint(high, y[1], z[1]), colour))

    for side in (-1, 1):
        begin = -4.0
        while begin < 230:
            end = begin + rng.uniform(10, 19)
            tall = rng.uniform(13, 27) + 0.05 * begin + (6 if side > 0 else 0)
            face = side * rng.uniform(8.4, 9.4)
            gap = rng.choice([0.0, 0.0, 1.5])
            colour = tint(0.3, 0.22, 0.17) * rng.uniform(0.5, 1.3) * rng.normal(1, 0.15, 3)
            add("house", (face, side * 30), (0, tall), (begin, end - gap), colour)
            if rng.random() < 0.6:  # a set-back storey
                inner = face + side * rng.uniform(1.5, 3)
                top = tall + rng.uniform(2, 5)
                depth = inner + side * rng.uniform(3, 7)
                add("house", (inner, depth), (tall, top), (begin + 2, end - 3), 0.8 * colour)
            begin = end
    for x, wide, top, z in TOWERS:
        add("house", (x - wide / 2, x + wide / 2), (0, top), (z, z + 20), tint(0.2, 0.2, 0.24))
    for x, z in LAMPS:
        add("post", (x - 0.07, x + 0.07), (0, 5.4), (z - 0.07, z + 0.07), tint(0.03, 0.03, 0.035))
    for x, z, _ in CARS:
        colour = tint(*rng.uniform(0.02, 0.12, 3))
        add("car", (x - 0.9, x + 0.9), (0.25, 0.95), (z, z + 4.2), colour)
        add("car", (x - 0.72, x + 0.72), (0.95, 1.5), (z + 0.9, z + 3.4), 0.4 * colour)
    return blocks


def beads() -> list[tuple[Array, float, Array]]:
    """Return glowing balls: street lamps, head lights, tail lights, signals."""
    balls = [(tint(x, 5.5, z), 0.24, tint(26, 15, 6.5)) for x, z in LAMPS]
    for x, z, going in CARS:
        glow = tint(14, 0.7, 0.4) if going > 0 else tint(30, 28, 24)
        balls += [(tint(x + dx, 0.72, z - 0.02), 0.12, glow) for dx in (-0.68, 0.68)]
    balls += [
        (tint(5.6, 4.2, 58), 0.3, tint(0.8, 14, 6)),
        (tint(-5.6, 4.2, 58), 0.3, tint(0.8, 14, 6)),
    ]
    return balls


def dusk(way: Array, clouds: Array) -> Array:
    """Return the evening sky over the roofs."""
    up = np.clip(way[:, 1], 0.0, 1)
    sky = mix(tint(0.5, 0.26, 0.2), tint(0.17, 0.17, 0.32), ramp(0.02, 0.3, up)[:, None])
    sky = mix(sky, tint(0.03, 0.05, 0.13), ramp(0.2, 0.75, up)[:, None])
    reach = 1 / (up + 0.15)
    thick = lookup(clouds, way[:, 0] * reach * 0.3 + 0.2, way[:, 2] * reach * 0.3)
    return mix(
        sky,
        mix(tint(0.3, 0.15, 0.16), tint(0.035, 0.04, 0.075), ramp(0.1, 0.6, up)[:, None]),
        0.9 * ramp(-0.6, 1.3, thick)[:, None],
    )


def facade(
    block: Block, number: int, place: Array, sideways: Array, cloths: tuple[Array, Array]
) -> Array:
    """Return the light of house walls: masonry, cornices, windows, shops."""
    rough, fine = cloths
    along = np.where(sideways, place[:, 2] - block.low[2], place[:, 0] - block.low[0])
    up = place[:, 1] - block.low[1]
    bay, storey = 1.9 + 1.3 * chance(number, 1).item(), 3.1 + 0.7 * chance(number, 2).item()
    column, floor = np.floor(along / bay), np.floor((up - 4.2) / storey)
    u, v = along / bay - column, (up - 4.2) / storey - floor
    wide = 0.25 + 0.12 * chance(number, 3).item()
    stain = lookup(rough, along * 0.02 + 0.1 * number, up * 0.02)
    wall = block.colour * np.exp(0.28 * stain + 0.12 * lookup(fine, along * 0.1, up * 0.1))[:, None]
    wall = wall * (1 - 0.55 * (v < 0.05) + 0.35 * (v > 0.95))[:, None]
    lamps = np.zeros_like(up)
    for _, z in LAMPS:
        lamps += 3.6 / (12 + (place[:, 2] - z) ** 2 + 0.7 * (place[:, 1] - 4.5) ** 2)
    height = np.clip(up / 25, 0, 1)[:, None]
    light = wall * (
        tint(0.16, 0.18, 0.3) * (0.5 + 0.8 * height) + lamps[:, None] * tint(1.0, 0.6, 0.28)
    )

    glass = (np.abs(u - 0.5) < wide) & (v > 0.22) & (v < 0.82)
    bars = (np.abs(np.abs(u - 0.5) - wide / 2) < 0.025) | (np.abs(v - 0.55) < 0.02)
    dice, mood = chance(number, column, floor, sideways), chance(number, column, floor, 7)
    lamp = mix(tint(1.0, 0.55, 0.2), tint(1.0, 0.86, 0.6), mood[:, None])
    lamp = np.where((mood > 0.88)[:, None], tint(0.55, 0.75, 1.0), lamp)
    inside = (
        lamp
        * (0.5 + 1.3 * v + 0.35 * lookup(rough, along * 0.15 + mood, up * 0.15))[:, None]
        * (0.15 + 1.0 * chance(number, column, floor, 5))[:, None]
    )
    drawn = (np.abs(u - 0.5) > wide * (0.3 + 0.9 * chance(column, floor, number, 9)))[:, None]
    inside = np.where(drawn, inside * tint(0.5, 0.4, 0.3), inside)
    dark = tint(0.035, 0.045, 0.08) * (0.7 + 1.4 * height + 0.4 * stain[:, None])
    pane = np.where((dice < 0.42)[:, None], np.maximum(inside, 0), dark)
    light = np.where(
        (glass & (up > 4.2))[:, None],
        np.where(bars[:, None], 0.35 * light + 0.05 * pane, pane),
        light,
    )

    # The ground floor: shop windows, their goods, and a sign above.
    shop = np.floor(along / (2.4 * bay))
    open_late, hue = chance(number, shop, 11), chance(number, shop, 12)
    w = along / (2.4 * bay) - shop
    show = (np.abs(w - 0.5) < 0.43) & (up < 3.1) & (up > 0.5) & (block.low[1] < 1)
    rail = np.where(chance(number, shop, np.floor(up / 0.62)) < 0.75, up % 0.62 < 0.09, False)
    crate = chance(number, np.floor(along / 0.31), np.floor(up / 0.62)) * (up % 0.62 < 0.46)
    goods = (
        np.exp(0.5 * lookup(fine, along * 0.05, up * 0.08))
        * (0.25 + 0.3 * up)
        * (1 - 0.5 * crate)
        * (1 - 0.75 * rail)
    )
    glow = mix(tint(1.5, 0.8, 0.32), tint(1.2, 1.15, 0.95), hue[:, None]) * goods[:, None]
    wares = [chance(number, np.floor(along / 0.31), np.floor(up / 0.62), k) for k in (1, 2, 3)]
    glow = glow * mix(1, np.stack(wares, -1) + 0.25, 0.8 * (crate > 0)[:, None])
    light = np.where(show[:, None], np.where((open_late < 0.72)[:, None], 0.85 * glow, dark), light)
    sign = (
        (np.abs(w - 0.5) < 0.36)
        & (np.abs(up - 3.55) < 0.22)
        & (open_late < 0.6)
        & (block.low[1] < 1)
    )
    neon = np.stack([np.clip(np.abs((hue * 6 + k) % 6 - 3) - 1, 0.04, 1) for k in (0, 4, 2)], -1)
    letters = 0.35 + 1.3 * (chance(number, shop, np.floor(w * 40)) > 0.35)
    return np.where(sign[:, None], 2.4 * neon * letters[:, None], light)


def look(
    blocks: list[Block], start: Array, way: Array, cloths: tuple[Array, Array], walkers: Array
) -> tuple[Array, Array]:
    """Return light and distance along rays over the street (the road itself excepted)."""
    reach = np.full(len(way), np.inf, np.float32)
    which, axis = np.full(len(way), -1), np.zeros(len(way), np.int8)
    inverse = np.ascontiguousarray(1 / np.where(np.abs(way) < 1e-6, np.float32(1e-6), way).T)
    for leftward in (True, False):  # half of the rays can never meet half of the houses
        rays = np.flatnonzero((way[:, 0] < 0) == leftward)
        slow, best = np.take(inverse, rays, 1), reach[rays]
        origin = np.ascontiguousarray(start[rays].T)
        for number, block in enumerate(blocks):
            if (block.low[0] > 8) if leftward else (block.high[0] < -8):
                continue
            a = (block.low[:, None] - origin) * slow
            b = (block.high[:, None] - origin) * slow
            enter = np.minimum(a, b)
            t = enter.max(0)
            won = np.flatnonzero((t > 0.05) & (t < np.maximum(a, b).min(0)) & (t < best))
            best[won] = reach[rays[won]] = t[won]
            which[rays[won]], axis[rays[won]] = number, enter[:, won].argmax(0)
    light = dusk(way, cloths[0])
    for number, block in enumerate(blocks):
        on = np.flatnonzero(which == number)
        if not on.size:
            continue
        place = start[on] + reach[on, None] * way[on]
        if block.kind == "house":
            light[on] = facade(block, number, place, axis[on] == 0, cloths)
            light[on] = np.where((axis[on] == 1)[:, None], tint(0.02, 0.025, 0.04), light[on])
        else:
            flip = way[on] * np.where(np.arange(3) == axis[on, None], -1, 1)
            light[on] = block.colour * 0.3 + 0.1 * dusk(flip, cloths[0]) * (block.kind == "car")
    lamp_fog = np.zeros((len(way), 1), np.float32)
    for centre, radius, glow in beads():
        offset = centre - start
        along = dot(offset, way)
        miss = dot(offset, offset) - along * along
        ahead = (along > 0) & (along < reach + 0.3)
        on = ahead & (miss < radius * radius)
        light[on], reach[on] = glow, along[on]
        lamp_fog += (ahead * radius**2 * 0.16 / (miss + 0.3))[:, None] * (glow[0] > 20)
    # Walkers are flat figures standing across the street.
    for x, z, tall, slot in WALKERS:
        t = (z - start[:, 2]) * inverse[2]
        u = (start[:, 0] + t * way[:, 0] - x) / tall + 0.5
        v = 1 - (start[:, 1] + t * way[:, 1]) / tall
        on = np.flatnonzero((t > 0) & (t < reach) & (np.abs(u - 0.5) < 0.5) & (v > 0) & (v < 1))
        figure = pick(walkers[slot], u[on] * 400, v[on] * 400)
        on, figure = on[figure[:, 3] > 0.5], figure[figure[:, 3] > 0.5]
        light[on], reach[on] = figure[:, :3], t[on]
    fog = 1 - np.exp(-np.minimum(reach, 600) / 300)[:, None]
    light = mix(light, tint(0.36, 0.22, 0.19), np.where(np.isinf(reach)[:, None], 0.0, 0.85 * fog))
    return light + lamp_fog * tint(1.0, 0.62, 0.3), reach


def walker(draw: ImageDraw.ImageDraw, umbrella: Colour, coat: Colour) -> None:
    """Draw a figure under an umbrella on a 400 x 400 sheet."""
    dark = (14, 13, 17, 255)
    for a, b in (((186, 280), (172, 392)), ((208, 280), (222, 390))):
        draw.line((a, b), fill=dark, width=21)
        draw.ellipse((b[0] - 11, b[1] - 6, b[0] + 19, b[1] + 8), fill=dark)
    for k in range(40):  # strips give the coat a round shade
        t = k / 39
        tone = 0.45 + 0.8 * t**3
        left, right = 160 + 76 * t, 160 + 76 * (t + 0.04)
        hem = 306 + 6 * np.sin(9 * t)
        draw.polygon(
            (
                (left * 0.7 + 60, 138),
                (right * 0.7 + 60, 138),
                (right * 1.2 - 40, hem),
                (left * 1.2 - 40, hem),
            ),
            fill=(*(int(c * tone) for c in coat), 255),
        )
    draw.ellipse((180, 88, 216, 134), fill=(34, 25, 22, 255))
    draw.line((228, 60, 228, 210), fill=(24, 22, 22, 255), width=4)
    for k in range(8):
        tone = 0.5 + 0.75 * np.sin(np.pi * (k + 1.5) / 10) * (k / 8)
        left, right = 96 + 264 * k / 8, 96 + 264 * (k + 1) / 8
        lean = [
            (228 + (p - 228) * np.sin(q), 98 - 92 * np.cos(q))
            for p in (left, right)
            for q in np.linspace(1.57, 0, 12)
        ]
        colour = tuple(int(min(255, c * tone)) for c in umbrella)
        draw.polygon(lean[:12] + lean[:11:-1], fill=(*colour, 255))


def street(rng: Generator, passes: int = 5) -> Image.Image:
    """Trace a street after rain: what stands, and its image in the wet road."""
    width, height = 560, 800
    blocks = town(rng)
    cloths = cloth(rng, (1024, 1024), 1.3), cloth(rng, (1024, 1024), 0.7)
    sheets = [
        paint((400, 400), partial(walker, umbrella=(190, 34, 30), coat=(60, 52, 54))),
        paint((400, 400), partial(walker, umbrella=(60, 78, 96), coat=(46, 40, 36))),
    ]
    walkers = np.stack([np.concatenate(sheet, -1) for sheet in sheets])
    eye = tint(-0.9, 1.75, 0)
    x, y = (axis.reshape(-1) for axis in frame(width, height, 0.6))
    total = np.zeros((width * height, 3), np.float32)
    for _ in range(passes):
        shake = rng.random((2, width * height), np.float32) / height
        way = unit(np.stack([x + shake[0] + 0.02, y + shake[1], np.full_like(x, 0.92)], -1))
        start = np.broadcast_to(eye, way.shape)
        light, reach = look(blocks, start, way, cloths, walkers)
        t = -eye[1] / np.minimum(way[:, 1], -1e-4)
        road = np.flatnonzero((way[:, 1] < 0) & (t < reach))
        place, way = eye + t[road, None] * way[road], way[road]
        px, pz = place[:, 0], place[:, 2]
        path = np.abs(px) > 5.2
        gravel = lookup(cloths[1], px * 0.12, pz * 0.12)
        pool = ramp(-0.8, 0.1, lookup(cloths[0], px * 0.05, pz * 0.03) + 0.12 * gravel)
        slabs = (np.minimum(np.abs(px * 1.4 % 1), np.abs(pz * 0.9 % 1)) < 0.05) & path
        tone = np.where(path, 0.1, 0.045) * np.exp(0.35 * gravel) * (1 - 0.5 * slabs)
        stripe = (np.abs(px) < 0.09) & (pz % 6 < 3) & (pz > 12)
        zebra = (np.abs(pz - 9.4) < 1.3) & (px % 1.1 < 0.55) & ~path
        tone = np.where(stripe | zebra, 0.3 * np.exp(0.3 * np.minimum(gravel, 0.5)), tone) * (
            1 - 0.45 * pool
        )
        lamps = sum(9 / (14 + (px - lx) ** 2 + (pz - lz) ** 2) for lx, lz in LAMPS)
        diffuse = tone[:, None] * (lamps[:, None] * tint(1.0, 0.6, 0.3) + tint(0.14, 0.15, 0.24))
        rough = np.where(path, 0.035, mix(0.045, 0.004, pool))[:, None]
        bumps = rough * rng.standard_normal((road.size, 3), np.float32)
        bumps[:, :2] += 0.012 * np.stack([gravel, np.roll(gravel, 1)], 1) * (1 - pool[:, None])
        normal = unit(tint(0, 1, 0) + bumps * tint(1, 0, 1))
        cosine = np.clip(-dot(way, normal)[:, None], 0.01, 1)
        back = way + 2 * cosine * normal
        back[:, 1] = np.abs(back[:, 1])
        mirror, _ = look(blocks, place + tint(0, 0.01, 0), unit(back), cloths, walkers)
        gloss = (0.08 + 0.92 * (1 - cosine) ** 3.5) * mix(0.55, 1.0, pool)[:, None]
        fog = 1 - np.exp(-t[road, None] / 300)
        light[road] = mix(
            diffuse + np.minimum(mirror, 2.6) * gloss, tint(0.36, 0.22, 0.19), 0.85 * fog
        )
        total += np.minimum(light, 30)
    return develop((total / passes).reshape(height, width, 3), rng, exposure=0.95, bloom=0.22)


# --------------------------------------------------------------------------
# Edited copies
# --------------------------------------------------------------------------


def scaled(across: float, down: float) -> Callable[[Image.Image], Image.Image]:
    """Return an edit that scales the width and the height."""

    def edit(image: Image.Image) -> Image.Image:
        size = round(image.width * across), round(image.height * down)
        return image.resize(size, Image.Resampling.LANCZOS)

    return edit


def cropped(image: Image.Image) -> Image.Image:
    """Cut a tenth off each edge."""
    dx, dy = image.width // 10, image.height // 10
    return image.crop((dx, dy, image.width - dx, image.height - dy))


def recoloured(image: Image.Image) -> Image.Image:
    """Warm the white balance and deepen the colours."""
    red, green, blue = image.split()
    warm = Image.merge(
        "RGB", (red.point(lambda p: int(p * 1.07)), green, blue.point(lambda p: int(p * 0.86)))
    )
    return ImageEnhance.Color(warm).enhance(1.3)


def noisy(image: Image.Image) -> Image.Image:
    """Add the noise of a small sensor."""
    pixels = np.asarray(image) + default_rng(0).normal(0, 11, (image.height, image.width, 3))
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


# Name of the scene: what draws it, and the seed of a lucky day.
SCENES: dict[str, tuple[Callable[[Generator], Image.Image], int]] = {
    "harbour": (harbour, 7),
    "mountains": (mountains, 4),
    "pebbles": (pebbles, 1),
    "stilllife": (stilllife, 1),
    "street": (street, 1),
}
# Name of the copy: what is done to the scene, and the quality it is saved with.
EDITS: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "harbour_resized.jpg": (scaled(0.5, 0.5), 88),
    "harbour_recompressed.jpg": (Image.Image.copy, 20),
    "harbour_recoloured.jpg": (recoloured, 80),
    "harbour_cropped.jpg": (cropped, 80),
    "harbour_bordered.jpg": (lambda image: ImageOps.expand(image, 64), 80),
    "harbour_mirrored.jpg": (ImageOps.mirror, 80),
    "mountains_small.webp": (scaled(0.4, 0.4), 80),
    "mountains_grey.jpg": (ImageOps.grayscale, 80),
    "mountains_noisy.jpg": (noisy, 72),
    "mountains_blurred.jpg": (lambda image: image.filter(ImageFilter.GaussianBlur(2)), 80),
    "pebbles_recompressed.jpg": (Image.Image.copy, 20),
    "pebbles_turned.jpg": (lambda image: image.transpose(Image.Transpose.ROTATE_90), 80),
    "stilllife_squeezed.jpg": (scaled(0.5, 0.75), 88),
    "street_dimmed.jpg": (lambda image: ImageEnhance.Brightness(image).enhance(0.6), 80),
}


def main() -> None:
    """Write all pictures and tell about each."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures"
    folder.mkdir(parents=True, exist_ok=True)

    def save(image: Image.Image, name: str, quality: int) -> None:
        path = folder / name
        image.save(path, quality=quality, optimize=True)
        print(f"{name:26} {image.width:4} x {image.height:<4} {path.stat().st_size / 1000:6.1f} kB")

    for scene, (draw, seed) in SCENES.items():
        picture = draw(default_rng(seed))
        save(picture, f"{scene}.jpg", 90)
        for name, (edit, quality) in EDITS.items():
            if name.startswith(scene + "_"):
                save(edit(picture), name, quality)


if __name__ == "__main__":
    main()
