"""Decodes deltas of coders 0 and 1, in place as well, from docs/format-delta.md alone.

Written from the text and kept as simple as that allows: integers, lists and one function per
section. Every rule that is broken raises `Refused` with the number the text gives it.
"""

import hashlib

MAGIC = b"FWD\x01"
M32 = 0xFFFFFFFF
SECTION, LITERAL_LEN, COVER_LEN, DIAGONAL, FORWARD, BACKWARD, ZERO_RUN, PAGE = range(8)


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

    def __init__(self, stream, log, pages):
        self.coder, self.log = RangeDecoder(stream), log
        self.entries = [1 << 15] * (1 << log)
        self.residuals = [0] * 8
        # Bytes in the order in which they are made; the position of the next one in new.
        self.made, self.pos = bytearray(), 0
        self.pages = pages

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
        return self.pos % 4

    def push(self, byte, residual):
        self.made.append(byte)
        self.pos += 1
        self.residuals = [residual] + self.residuals[:7]

    def before(self, distance):
        return self.made[-distance] if len(self.made) >= distance else 0

    def literal(self):
        self.pages.arrive(self)
        parity = self.pos % 2
        tops = (self.before(1) >> 6) * 4 + (self.before(2) >> 6)
        byte = self.byte((2 << 24) + (parity << 8), (3 << 24) + (tops << 9) + (parity << 8), 4)
        self.push(byte, 0)

    def cover(self, at, end):
        """The residual of one cover, of old from `at` to `end`."""
        zeros, due, old = 0, False, self.pages.old
        while at < end:
            self.pages.arrive(self)
            if not due and zeros == 64:
                run = self.number(ZERO_RUN, self.phase())
                require(run <= end - at, 114)
                for _ in range(run):
                    self.pages.arrive(self)
                    self.push(old[at], 0)
                    at += 1
                due = True
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
            diagonal = old_pos - self.pos
        recent.insert(0, diagonal)
        return self.pos + diagonal

    def decode(self, new_len):
        """The new image; spans of pages are made one after the other (section 14)."""
        recent, self.old_end, new, is_first = [0] * 4, 0, bytearray(new_len), True
        while len(self.made) < new_len:
            start, end = self.pages.span(self)
            self.pos, before = start, len(self.made)
            self.pages.arrive(self)
            if is_first:
                require(self.number(SECTION) == 0, 206)
                is_first = False
            self.operations(recent, end)
            new[start:end] = self.made[before:]
        if is_first:
            require(self.number(SECTION) == 0, 206)
        self.coder.end()
        self.pages.finish(bytes(self.made), bytes(new))
        return bytes(new)

    def operations(self, recent, end):
        while self.pos < end:
            self.pages.arrive(self)
            skipped = self.number(LITERAL_LEN)
            require(skipped <= end - self.pos, 114)
            for _ in range(skipped):
                self.literal()
            if self.pos == end:
                break
            self.pages.arrive(self)
            old_pos = self.place(self.old_end, recent, skipped)
            cover_len = self.number(COVER_LEN) + 1
            require(cover_len <= end - self.pos, 114)
            require(0 <= old_pos and old_pos + cover_len <= len(self.pages.old), 114)
            self.old_end = old_pos + cover_len
            self.cover(old_pos, self.old_end)


class TwoSlots:
    """New has a slot of its own: all of it is one span, and nothing is said of pages."""

    def __init__(self, old, new_len):
        self.old, self.new_len = old, new_len

    def span(self, _):
        return 0, self.new_len

    def arrive(self, _):
        pass

    def finish(self, made, new):
        pass


class InPlace:
    """Section 14: which pages there are, when old ones are lost, what the stream says of them."""

    def __init__(self, parameters, old, new_len):
        require(len(parameters) in (3, 4), 110)
        pages, spare, self.interval = parameters[:3]
        require(not isinstance(spare, list) or len(spare) == 3, 110)
        self.spare_count, self.room_len, self.room_count = (
            spare if isinstance(spare, list) else (spare, 0, 0))
        require(not isinstance(spare, list) or min(self.room_len, self.room_count) > 0, 110)
        require(self.room_len <= 1 << 24 and self.room_count <= 255, 110)
        self.check = parameters[3] if len(parameters) == 4 else None
        runs = pages if isinstance(pages, list) else [pages]
        require(len(runs) % 2 == 1 and (runs is not pages or 3 <= len(runs) <= 13), 110)
        lens = runs[::2]
        require(all(64 <= length <= 1 << 24 and length % 32 == 0 for length in lens), 110)
        require(all(a != b for a, b in zip(lens, lens[1:])), 110)
        require(all(count > 0 for count in runs[1::2]), 110)
        require(1 <= self.interval <= min(self.spare_count, 8) and self.spare_count <= 255, 110)
        self.old, self.as_it_was, self.new_len = bytearray(old), old, new_len
        # Where each page of new starts, and where the last one ends.
        self.starts = [0]
        for length, count in zip(lens, runs[1::2] + [new_len]):
            for _ in range(count):
                if self.starts[-1] < new_len:
                    self.starts.append(self.starts[-1] + length)
        self.page_count = len(self.starts) - 1
        require(self.page_count <= 1 << 31, 110)
        self.is_made = [False] * self.page_count
        self.page, self.kept, self.rewritten_count = -1, [], 0
        # Of each spare page: which old page it holds, and the number of the one saved last.
        self.held, self.last = [None] * self.spare_count, [-1] * self.spare_count
        # Excerpts: where each starts and ends in old, and for how many more intervals it stays.
        self.excerpts, self.excerpt_end, self.lost = [], 0, []
        self.victims, self.end, self.is_last_span = [], 0, self.check is None

    def span(self, bits):
        """Start and end of the next span; its first page is begun by `arrive`."""
        first, count = 0, self.page_count
        if self.check is not None:
            folded = bits.number(PAGE, 0)
            by = folded >> 1 if folded % 2 == 0 else -1 - (folded >> 1)
            count = bits.number(PAGE, 1) + 1
            first = self.page + 1 + by
        require(0 <= first and first + count <= self.page_count, 115)
        self.next, self.end = first, self.starts[first]
        return self.starts[first], min(self.starts[first + count], self.new_len)

    def arrive(self, bits):
        """Something is decoded next; is it the first of a page?"""
        if bits.pos != self.end or bits.pos == self.new_len:
            return
        page = self.next
        require(not self.is_made[page], 115)
        self.page, self.next, self.is_made[page] = page, page + 1, True
        self.end = self.starts[page + 1]
        if bits.number(PAGE, 2) != 0:
            self.kept.append(page)
        else:
            self.rewrite(bits, page)

    def rewrite(self, bits, page):
        at = self.rewritten_count % self.interval
        is_first, self.rewritten_count = at == 0, self.rewritten_count + 1
        if is_first and self.room_len > 0:
            self.name_excerpts(bits)
            self.is_unsaved = bits.number(PAGE, 8) != 0
        if self.room_len > 0 and self.is_unsaved:
            self.lose(page)
            return
        if is_first:
            self.victims = []
            for _ in range(self.interval):
                free = [spare for spare in range(self.spare_count) if spare not in self.victims]
                free.sort(key=lambda spare: (self.last[spare], spare))
                age = bits.number(PAGE, 3) if self.spare_count > self.interval else 0
                require(age < len(free), 115)
                self.victims.append(free[age])
            for spare in self.victims:
                self.lose(self.held[spare])
                self.held[spare], self.last[spare] = None, -1
        spare = self.victims[at]
        self.held[spare], self.last[spare] = page, self.rewritten_count - 1

    def name_excerpts(self, bits):
        over = [it for it in self.excerpts if it[2] == 0]
        self.excerpts = [(start, end, life - 1) for start, end, life in self.excerpts if life > 0]
        for start, end, _ in over:
            if any(self.starts[page] <= start < self.starts[page + 1] for page in self.lost):
                self.clear(start, end)
        for _ in range(bits.number(PAGE, 4)):
            folded = bits.number(PAGE, 5)
            by = folded >> 1 if folded % 2 == 0 else -1 - (folded >> 1)
            start = self.excerpt_end + by
            self.excerpt_end = end = start + bits.number(PAGE, 6) + 1
            life = bits.number(PAGE, 7)
            used = sum(end - start for start, end, _ in self.excerpts) + end - start
            require(len(self.excerpts) < self.room_count and used <= self.room_len, 115)
            require(max(end - start, life) < 1 << 16 and 0 <= start < end <= len(self.old), 115)
            require(not any(self.starts[page] < end and start < self.starts[page + 1]
                            for page in self.lost), 115)
            self.excerpts.append((start, end, life))

    def clear(self, start, end):
        """What no excerpt holds of old bytes is lost."""
        for at in range(start, min(end, len(self.old))):
            if not any(start <= at < end for start, end, _ in self.excerpts):
                self.old[at] = 0

    def lose(self, page):
        if page is not None:
            self.lost.append(page)
            self.clear(self.starts[page], self.starts[page + 1])

    def finish(self, made, new):
        require(all(self.is_made), 115)
        for page in self.kept:
            start, end = self.starts[page], min(self.starts[page + 1], self.new_len)
            require(self.as_it_was[start:end] == new[start:end], 115)
        if self.check is not None:
            digest = hashlib.sha256(made).digest()
            require(int.from_bytes(digest[:8], "big") == self.check, 704)


def adapted(p, rate, bit):
    """Section 6.2."""
    return p + ((65535 - p) >> rate) if bit else p - (p >> rate)


def decode(header, payload, old):
    """The new image; `header` is the decoded CBOR map."""
    require(header[0] == 1, 201)
    require(len(old) == header[2], 602)
    require(len(payload) == header[7], 707)
    stream = unchain(header, payload)
    pages = InPlace(header[14], old, header[4]) if 14 in header else TwoSlots(old, header[4])
    if header[1] == 0 or header[4] == 0:
        new = stream
        require(len(new) == header[4] and (14 not in header or pages.check is None), 115)
    else:
        require(header[1] == 1, 205)
        new = Bits(stream, header[9][0], pages).decode(header[4])
    require(hashlib.sha256(new).digest() == header[5], 704)
    return new
