"""Tables of a flatbuffer, written and read by the number of their fields.

For schemas that have no Python package of their own: a table is what stands in which field.
"""

import flatbuffers
from flatbuffers import number_types
from flatbuffers.table import Table

ALIGNMENT = 16  # schema.fbs: `data:[ubyte] (force_align: 16)`


def table(builder, size, offsets=None, bytes_=None, floats=None, integers=None):
    """Writes a table and returns its offset.

    Every offset was made before: a flatbuffer cannot nest tables while one is open.

    Args:
        builder: a `flatbuffers.Builder`.
        size: the number of fields in the schema.
        offsets: field number to what another function here returned.
        bytes_: field number to a whole number of one byte, an enum or a truth value.
        floats: field number to a float of four bytes.
        integers: field number to a whole number of four bytes.
    """
    builder.StartObject(size)
    for slot, offset in (offsets or {}).items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, value in (floats or {}).items():
        builder.PrependFloat32Slot(slot, value, 0.0)
    for slot, value in (integers or {}).items():
        builder.PrependInt32Slot(slot, value, 0)
    for slot, value in (bytes_ or {}).items():
        builder.PrependUint8Slot(slot, value, 0)
    return builder.EndObject()


def vector(builder, offsets):
    """Writes a vector of tables and returns its offset."""
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def floats(builder, values):
    """Writes a vector of float32 and returns its offset."""
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()


def integers(builder, values):
    """Writes a vector of uint32 and returns its offset."""
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependUint32(value)
    return builder.EndVector()


def aligned_bytes(builder, payload):
    """Writes bytes that begin at a multiple of 16 and returns their offset."""
    builder.StartVector(1, len(payload), ALIGNMENT)
    builder.head -= len(payload)
    builder.Bytes[builder.head : builder.head + len(payload)] = payload
    return builder.EndVector()


def finished(root, identifier):
    """The bytes of a flatbuffer.

    Args:
        root: a function that writes the root table into a builder and returns its offset.
        identifier: the schema's four letters, bytes.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(root(builder), identifier)
    return bytes(builder.Output())


def root_of(data):
    """The root table of a flatbuffer's bytes."""
    return Table(data, int.from_bytes(data[:4], "little"))


def child(parent, field):
    """The table in a field."""
    return Table(parent.Bytes, parent.Indirect(parent.Offset(4 + 2 * field) + parent.Pos))


def children(parent, field):
    """The tables of a field that holds a vector of them; none if it is not there."""
    offset = parent.Offset(4 + 2 * field)
    if not offset:
        return []
    start, length = parent.Vector(offset), parent.VectorLen(offset)
    return [Table(parent.Bytes, parent.Indirect(start + 4 * i)) for i in range(length)]


def byte_of(parent, field):
    """The one-byte number of a field."""
    offset = parent.Offset(4 + 2 * field)
    return parent.Get(number_types.Uint8Flags, offset + parent.Pos) if offset else 0


def float_of(parent, field):
    """The float of a field."""
    offset = parent.Offset(4 + 2 * field)
    return parent.Get(number_types.Float32Flags, offset + parent.Pos) if offset else 0.0


def floats_of(parent, field):
    """The floats of a field that holds a vector of them, or `None`."""
    offset = parent.Offset(4 + 2 * field)
    if not offset:
        return None
    start, length = parent.Vector(offset), parent.VectorLen(offset)
    return [float(parent.Get(number_types.Float32Flags, start + 4 * i)) for i in range(length)]


def bytes_of(parent, field):
    """The bytes of a field that holds a string or a vector of bytes, or `None`."""
    offset = parent.Offset(4 + 2 * field)
    if not offset:
        return None
    start, length = parent.Vector(offset), parent.VectorLen(offset)
    return bytes(parent.Bytes[start : start + length])
