"""Columns as a stream of Arrow, through nanoarrow: numbers without a copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photodna_nb.errors import ArgumentError
from photodna_nb.printable import printable

# See `ResultTable._columns`.
Column = NDArray[Any] | list[str] | list[str | None]

# From here on, offsets into the bytes of texts need 64 bits.
_LARGE = 2**31


def stream(columns: Mapping[str, Column], units: Mapping[str, str]) -> object:
    """Return a capsule of the Arrow C stream interface with one batch of all rows.

    Parameters
    ----------
    columns : mapping of str to array or list
        As `ResultTable._columns` returns them.
    units : mapping of str to str
        Units of columns; they become metadata of the fields, with the key ``unit``.
    """
    import nanoarrow

    arrays = {name: _array(name, column) for name, column in columns.items()}
    fields = {}
    for name, array in arrays.items():
        metadata = {"unit": units[name]} if name in units else None
        fields[field_name(name)] = array.schema.modify(metadata=metadata)
    length = len(next(iter(columns.values())))
    batch = nanoarrow.c_array_from_buffers(
        nanoarrow.struct(fields), length, [None], children=arrays.values(), null_count=0
    )
    return nanoarrow.c_array_stream(batch).__arrow_c_stream__()


def field_name(name: str) -> str:
    """Return the name of a column as UTF-8 can hold it, which Arrow and pandas need."""
    return name if name.isprintable() else printable(name)


def _array(name: str, column: Column) -> Any:
    import nanoarrow

    if isinstance(column, list):
        return _texts(name, column)
    values = np.ascontiguousarray(np.ma.getdata(column))
    if values.ndim == 2:
        schema = nanoarrow.fixed_size_binary(values.shape[1])
        return nanoarrow.c_array_from_buffers(schema, len(values), [None, values.ravel()])
    missing = np.ma.getmaskarray(column)
    if values.dtype.kind == "f":
        missing = missing | np.isnan(values)
    boolean = values.dtype == np.bool_
    schema = nanoarrow.bool_() if boolean else getattr(nanoarrow, values.dtype.name)()
    buffers = [_validity(missing), _bits(values) if boolean else values]
    return nanoarrow.c_array_from_buffers(schema, len(values), buffers)


def _texts(name: str, texts: list[str] | list[str | None]) -> Any:
    import nanoarrow

    kind = "string"
    try:
        encoded = [(text or "").encode("utf-8") for text in texts]
    except UnicodeEncodeError:  # Arrow's strings are UTF-8
        kind = "binary"
        try:
            encoded = [(text or "").encode("utf-8", "surrogateescape") for text in texts]
        except UnicodeEncodeError as error:
            raise ArgumentError(
                f"{name}: got half of a surrogate pair, which no file name holds; rename it"
            ) from error
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    if offsets[-1] < _LARGE:
        offsets = offsets.astype(np.int32)
    else:
        kind = f"large_{kind}"
    missing = np.array([text is None for text in texts], bool)
    buffers = [_validity(missing), offsets, b"".join(encoded)]
    return nanoarrow.c_array_from_buffers(getattr(nanoarrow, kind)(), len(texts), buffers)


def _validity(missing: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    return _bits(~missing) if missing.any() else None


def _bits(values: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(values, bitorder="little")
