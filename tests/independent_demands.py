"""What a package demands of a device (docs/format.md, sections 3.4 and 7), with nothing of ours.

The demands are read from the manifest and judged against what a device knows of itself; the result
is compared with the golden vectors and with our command, on packages that it made.
"""

import random
import uuid
from datetime import datetime, timezone

import cbor2
from independent_trust import Trust, detail, vendors_signed

PARAMETERS = {4: "expires", 24: "device", 26: "battery", 27: "priority"}
COMPARED = {1: ">", 2: ">=", 3: "=", 4: "<=", 5: "<"}


class Demands:
    """The head of the install sequence, by its grammar: what is not in it raises."""

    def __init__(self, package):
        names = [[part.decode() for part in parts] for parts in package.components]
        sequence = cbor2.loads(package.manifest[20])
        self.given, self.hardware, self.installed = {}, [], []
        index, at = None, 0
        while at + 1 < len(sequence):
            command, argument = sequence[at : at + 2]
            at += 2
            if command == 12:
                index = argument
                if names[index] != ["hardware"] and names[index][-1] != "installed":
                    # What is fetched and made; the demands are over.
                    return
            elif command == 20 and 28 in argument:
                assert sequence[at : at + 2] == [28, 15]
                at += 2
                self._version(names[index], argument[28])
            elif command == 20:
                ((number, value),) = argument.items()
                assert sequence[at : at + 2] == [number, 15] and number in PARAMETERS
                at += 2
                self.given[PARAMETERS[number]] = value
            else:
                assert command == 15 and len(argument) >= 2
                for revision in map(cbor2.loads, argument):
                    assert revision[0] == 20 and revision[2:] == [28, 15]
                    self._version(names[index], revision[1][28])

    def _version(self, name, match):
        if name == ["hardware"]:
            assert match[0] == 3
            self.hardware.append(match[1])
        else:
            self.installed.append((name[0], COMPARED[match[0]], match[1]))


def compare(a, b):
    """-1, 0 or 1: number by number, missing ones are 0."""
    width = max(len(a), len(b))
    a, b = (list(it) + [0] * (width - len(it)) for it in (a, b))
    return (a > b) - (a < b)


def accepts(relation, wanted, own):
    order = compare(own, wanted)
    return {">": order > 0, ">=": order >= 0, "=": order == 0, "<=": order <= 0,
            "<": order < 0}[relation]


def judge(package, trust, sequence, facts):
    """Steps 2, 4, 5 and 8 of the order of checks: 0, or the detail of the first refusal.

    Operators, and digests of what is carried, are not asked here.
    """
    if not vendors_signed(package, trust):
        return 402
    demands = Demands(package)
    given = demands.given
    shared = cbor2.loads(package.common[4])[1]
    for number, refusal in [(0, 501), (1, 502)]:
        if number in trust.policy and trust.policy[number] != shared[number + 1]:
            return refusal
    own = facts.get("hardware")
    if demands.hardware and not (own and any(compare(own, it) == 0 for it in demands.hardware)):
        return 514
    if "device" in given and given["device"] != facts.get("device"):
        return 515
    if sequence is not None:
        ahead = package.manifest[2] - sequence
        if ahead < 0 or ahead > trust.policy[5]:
            return 503 if ahead < 0 else 504
    if "expires" in given and facts.get("time", -1) >= given["expires"]:
        return 505
    installed = facts.get("installed", {})
    for name, relation, wanted in demands.installed:
        if name not in installed or not accepts(relation, wanted, installed[name]):
            return 517
    news = [size for at, (_, size) in package.parameters.items()
            if package.components[at][-1] == b"new"]
    if sum(news) > facts.get("free", 2**64):
        return 805
    if facts.get("battery", -1) < given.get("battery", -1):
        return 516
    if "priority" in given and not facts.get("authorized"):
        return 518
    return 0


def facts_of(text):
    """The facts of a row of the vectors."""
    facts = {"installed": {}}
    for name, value in (pair.split("=") for pair in text.split(";") if "=" in pair):
        if name in ("time", "battery", "free"):
            facts[name] = int(value)
        elif name == "device":
            facts[name] = bytes.fromhex(value)
        elif name == "authorized":
            facts[name] = value == "1"
        elif name == "hardware":
            facts[name] = [int(number) for number in value.split(".")]
        else:
            facts["installed"][name] = [int(number) for number in value.split(".")]
    return facts


def check_vectors(read, vectors, lattices, check):
    """Rows about what is asked here, and what refuses nothing."""
    rows = [line.split("\t") for line in (vectors / "index.tsv").read_text().split("\n")]
    for name, trust, _, _, sequence, facts, expect in (row for row in rows[1:] if len(row) == 7):
        is_asked = name.startswith(("policy-", "valid-", "threshold"))
        if not is_asked or ("hybrid" in name and not lattices):
            continue
        package = read((vectors / f"{name}.suit").read_bytes())
        anchor = Trust((vectors / trust).read_bytes())
        sequence = int(sequence) if sequence.isdigit() else None
        found = judge(package, anchor, sequence, facts_of(facts))
        check(f"demands of {name}: {expect}", found == int(expect))


def version(numbers):
    """As people write it: stages before a release have names."""
    stages = {-3: "-alpha", -2: "-beta", -1: "-rc"}
    parts = [stages.get(number, f".{number}") for number in numbers]
    return "".join(parts).removeprefix(".")


def a_version(draw):
    numbers = [draw.randrange(3) for _ in range(draw.randrange(1, 4))]
    return numbers + draw.choice([[], [], [draw.choice([-3, -2, -1])]])


def some_demands(draw):
    """A `[requires]` table, and the device that it was written with in mind."""
    lines, facts = [], {"installed": {}, "time": draw.choice([0, 1_700_000_000, 1_900_000_000])}
    maybe = lambda: draw.random() < 0.4
    facts["hardware"] = a_version(draw)
    facts["device"] = draw.choice([bytes([9] * 16), bytes([8] * 16)])
    facts["battery"] = draw.choice([0, 29, 30, 100])
    facts["free"] = draw.choice([0, 10**9])
    facts["authorized"] = draw.random() < 0.7
    for name in ["modem", "boot"]:
        facts["installed"][name] = a_version(draw)
    for name in list(facts):
        if name != "installed" and draw.random() < 0.2:
            del facts[name]
    if maybe():
        revisions = [a_version(draw) for _ in range(draw.randrange(1, 4))]
        if draw.random() < 0.7:
            revisions[0] = facts.get("hardware", revisions[0])
        unique = sorted({version(revision) for revision in revisions})
        lines.append(f"hardware = {unique}".replace("'", '"'))
    if maybe():
        lines.append(f'device_id = "{uuid.UUID(bytes=bytes([9] * 16))}"')
    if maybe():
        moment = datetime.fromtimestamp(1_800_000_000, timezone.utc)
        lines.append(f"expires = {moment:%Y-%m-%dT%H:%M:%SZ}")
    if maybe():
        lines.append("battery = 30")
    if maybe():
        lines.append("authorized = true")
    lines.append("[requires.component]")
    for name in ["modem", "boot"]:
        if maybe():
            relation = draw.choice(list(COMPARED.values()))
            lines.append(f'{name} = "{relation} {version(a_version(draw))}"')
    return "\n".join(lines), facts


def device_file(facts):
    """The same facts as our command reads them."""
    plain = {"time": "time", "battery": "battery", "free": "free_space"}
    lines = [f"{ours} = {facts[name]}" for name, ours in plain.items() if name in facts]
    if "hardware" in facts:
        lines.append(f'hardware = "{version(facts["hardware"])}"')
    if "device" in facts:
        lines.append(f'device_id = "{uuid.UUID(bytes=facts["device"])}"')
    lines.append(f"authorized = {str(facts.get('authorized', False)).lower()}\n[installed]")
    lines += [f'{name} = "{version(it)}"' for name, it in facts["installed"].items()]
    return "\n".join(lines)


def check_generated(read, command, run, work, image, check):
    """Random demands on random devices, always the same ones."""
    draw = random.Random(5)
    (work / "demands-trust.toml").write_text('version = 1\n[vendor]\nkeys = ["vendor.pub"]\n')
    run("trust", "compile", work / "demands-trust.toml", "-o", work / "demands-trust.cbor")
    anchor = Trust((work / "demands-trust.cbor").read_bytes())
    package, release, device, state = (work / name for name in
                                       ["demands.suit", "demands.toml", "device.toml", "state"])
    seen = set()
    for number in range(60):
        requires, facts = some_demands(draw)
        release.write_text(f'version = "1.0"\n[requires]\n{requires}\n')
        device.write_text(device_file(facts))
        sequence = draw.choice([6, 6, 6, 7, 8])
        state.write_text(f'{{"sequence": {sequence}}}')
        run("build", "--new", image, "--sequence", "7", "--profile", "plain", "--release", release,
            "--key", work / "vendor.key", "-o", package)
        ours = detail(command, "verify", package, "--trust", work / "demands-trust.cbor",
                      "--device", device, "--state", state)
        theirs = judge(read(package.read_bytes()), anchor, sequence, facts)
        seen.add(theirs)
        check(f"demands {number}: {theirs}", ours == theirs)
    # Else the draw would have missed what it is for.
    check("demands: every refusal was drawn", seen >= {0, 503, 505, 514, 515, 516, 517, 518, 805})


def check_demands(read, command, run, work, image, vectors, lattices, check):
    """All of it."""
    check_vectors(read, vectors, lattices, check)
    check_generated(read, command, run, work, image, check)
