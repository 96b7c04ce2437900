"""Decodes deltas of coders 0 and 1 from docs/format-delta.md alone: no code of ours.

Written from the text and kept as simple as that allows: integers, lists and one function per
section. Every rule that is broken raises `Refused` with the number the text gives it.
"""

import hashlib

MAGIC = b"FWD\x01"
M32 = 0xFFFFFFFF
SECTION, LITERAL_LEN, COVER_LEN, DIAGONAL, FORWARD, BACKWARD, ZERO_RUN = range(7)


class Refused(Exception):
    """A delta that a reader must not apply, with the error's number."""


def require(holds, detail):
    if not holds:
        raise Refused(detail)


def unchain(header, payload):
    """The coded stream: the payload without the hashes of its chain (section 3)."""
    if 8 not in header:
        return payload
    chunk_len, expected = header[8]
    stream, pos = b"", 0
    while True:
        record = payload[pos : pos + chunk_len + 32]
        pos += len(record)
        require(hashlib.sha256(record).digest() == expected, 701)
        if pos == len(payload):
            return stream + record
        stream, expected = stream + record[:-32], record[-32:]


class RangeDecoder:
    """Section 6.1."""

    def __init__(self, stream):
        self.stream, self.pos, self.range, self.code = stream, 0, M32, 0
        for _ in range(4):
            self.shift()

    def shift(self):
        require(self.pos < len(self.stream), 115)
        self.code = (self.code << 8 | self.stream[self.pos]) & M32
        self.pos += 1

    def bit(self, p):
        bound = (self.range >> 16) * p
        bit = self.code < bound
        if bit:
            self.range = bound
        else:
            self.range, self.code = self.range - bound, self.code - bound
        while self.range < 1 << 24:
            self.range = self.range << 8
            self.shift()
        return int(bit)

    def end(self):
        require(self.code == 0 and self.pos == len(self.stream), 115)


def spread(context, log):
    return (context * 0x9E3779B1 & M32) >> (32 - log)


class Bits:
    """Coder 1 (section 6)."""

    def __init__(self, stream, log):
        self.coder, self.log = RangeDecoder(stream), log
        self.entries = [1 << 15] * (1 << log)
        self.residuals = [0] * 8
        self.new = bytearray()

    def bit(self, a, b, rate=3):
        a, b = spread(a, self.log), spread(b, self.log)
        pa, pb = self.entries[a], self.entries[b]
        if abs(pa - 32768) > abs(pb - 32768):
            p = (3 * pa + pb) >> 2
        else:
            p = (pa + 3 * pb) >> 2
        bit = self.coder.bit(max(64, min(65536 - 64, p)))
        self.entries[a] = adapted(pa, rate, bit)
        self.entries[b] = adapted(pb, rate, bit)
        return bit

    def number(self, kind, context=0):
        base = (1 << 24) + (kind << 16)
        node = 1
        for _ in range(6):
            node = node * 2 + self.bit(base + node, base + (context + 1) * 64 + node)
        log = node - 64
        require(log < 63, 115)
        value = 1
        for known in range(log):
            if known < 2:
                a = base + 0x8000 + log * 4 + value
                bit = self.bit(a, a + (context + 1) * 1024)
            else:
                bit = self.coder.bit(1 << 15)
            value = value * 2 + bit
        return value - 1

    def byte(self, a, b, rate=3):
        node = 1
        for _ in range(8):
            node = node * 2 + self.bit(a + node, b + node, rate)
        return node - 256

    def phase(self):
        return len(self.new) % 4

    def push(self, byte, residual):
        self.new.append(byte)
        self.residuals = [residual] + self.residuals[:7]

    def before(self, distance):
        return self.new[-distance] if len(self.new) >= distance else 0

    def literal(self):
        parity = len(self.new) % 2
        tops = (self.before(1) >> 6) * 4 + (self.before(2) >> 6)
        byte = self.byte((2 << 24) + (parity << 8), (3 << 24) + (tops << 9) + (parity << 8), 4)
        self.push(byte, 0)

    def cover(self, old):
        """The residual of one cover; `old` is what it covers."""
        zeros, due, at = 0, False, 0
        while at < len(old):
            if not due and zeros == 64:
                run = self.number(ZERO_RUN, self.phase())
                require(run <= len(old) - at, 114)
                for byte in old[at : at + run]:
                    self.push(byte, 0)
                at, due = at + run, True
                continue
            if not due and not self.differs(zeros):
                self.push(old[at], 0)
                at, zeros = at + 1, zeros + 1
                continue
            value = self.byte((6 << 24) + (self.phase() << 8),
                              (7 << 24) + (int(self.residuals[0] != 0) << 8))
            require(value != 0, 115)
            self.push((old[at] + value) % 256, value)
            zeros, due, at = 0, False, at + 1

    def differs(self, zeros):
        r = [int(residual != 0) for residual in self.residuals]
        near = r[0] + 2 * r[1] + 4 * r[2] + 8 * r[3] + 16 * r[5] + 32 * r[7]
        top = self.before(1) >> 3
        return self.bit((4 << 24) + near * 4 + self.phase(),
                        (5 << 24) + (top << 8) + (min(zeros, 3) << 6) + self.phase())

    def place(self, old_end, recent, skipped):
        """Where the next cover starts in old (section 6.4)."""
        which = self.number(DIAGONAL, int(skipped == 0))
        require(which <= 4, 115)
        if which < 4:
            diagonal = recent.pop(which)
        else:
            if self.bit(8 << 24, 8 << 24):
                old_pos = old_end - 1 - self.number(BACKWARD)
            else:
                old_pos = old_end + self.number(FORWARD)
            require(0 <= old_pos < 1 << 62, 114)
            recent.pop()
            diagonal = old_pos - len(self.new)
        recent.insert(0, diagonal)
        return len(self.new) + diagonal

    def decode(self, old, new_len):
        recent, old_end = [0] * 4, 0
        require(self.number(SECTION) == 0, 206)
        while len(self.new) < new_len:
            skipped = self.number(LITERAL_LEN)
            require(skipped <= new_len - len(self.new), 114)
            for _ in range(skipped):
                self.literal()
            if len(self.new) == new_len:
                break
            old_pos = self.place(old_end, recent, skipped)
            cover_len = self.number(COVER_LEN) + 1
            require(cover_len <= new_len - len(self.new), 114)
            require(0 <= old_pos and old_pos + cover_len <= len(old), 114)
            old_end = old_pos + cover_len
            self.cover(old[old_pos:old_end])
        self.coder.end()
        return bytes(self.new)


def adapted(p, rate, bit):
    """Section 6.2."""
    return p + ((65535 - p) >> rate) if bit else p - (p >> rate)


def decode(header, payload, old):
    """The new image; `header` is the decoded CBOR map."""
    require(header[0] == 1, 201)
    require(len(old) == header[2], 602)
    require(len(payload) == header[7], 707)
    stream = unchain(header, payload)
    if header[1] == 0 or header[4] == 0:
        new = stream
        require(len(new) == header[4], 115)
    else:
        require(header[1] == 1, 205)
        new = Bits(stream, header[9][0]).decode(old, header[4])
    require(hashlib.sha256(new).digest() == header[5], 704)
    return new
