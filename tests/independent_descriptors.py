#!/usr/bin/env python3
"""Reads download descriptors with nothing of ours: lxml for XML, RELAX NG schemas of docs/schemas.

Environment: FWDELTA names the command that makes packages and descriptors, FWDELTA_DOCS the folder
of the documents. Languages x versions x components: every descriptor must be valid by its schema,
say what the release file says, and come out the same twice. Then each schema is shown to refuse
what it should. Prints one line per group and a summary; exits 1 on failure.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lxml import etree

DD1 = "{http://www.openmobilealliance.org/xmlns/dd}"
DD2 = "{urn:oma:xml:dl:dd:2.0}"
BASE = "https://updates.example.com/x1"

# A prompt per language: scripts of several widths and directions, and what XML must escape.
PROMPTS = {
    "ar": "يتوفر تحديث جديد. هل تريد تنزيله الآن؟",
    "de": "Jetzt <herunterladen> & später installieren?",
    "de-AT": "Heuer noch laden?",
    "el": "Λήψη τώρα;",
    "en": "Fish & \"chips\" > <x> ]]> 'now'?",
    "fa": "به‌روزرسانی را می‌خواهید؟",
    "fr": "Télécharger maintenant\u00a0?",
    "he": "להוריד עכשיו את גרסה 2.1?",
    "hi": "अभी डाउनलोड करें?",
    "ja": "今すぐダウンロードしますか？",
    "ko": "지금 다운로드할까요?",
    "pt-BR": "Baixar agora?",
    "ru": "Загрузить сейчас?",
    "sr-Latn": "Preuzeti sada?",
    "th": "ดาวน์โหลดตอนนี้ไหม?",
    "tr": "Şimdi indirilsin mi?",
    "vi": "Tải xuống bây giờ?",
    "zh-Hans": "现在下载吗？😀",
    "zh-Hant-TW": "現在下載嗎？",
}
RELEASE = """version = "2.1.0"
default_language = "en"
install_notify_uri = "https://updates.example.com/notify?id=1&v=2"
next_url = "https://updates.example.com/next"
info_url = "https://www.example.com/2.1.0"
icon_url = "https://www.example.com/x1.png"
install_param = "slot=b"
[vendor]
domain = "example.com"
name = "Müller & <Söhne>"
homepage = "https://www.example.com/"
[device]
model = "X1"
"""

passed = failed = 0


def check(name, holds):
    global passed, failed
    print(f"test {name} ... {'ok' if holds else 'FAILED'}")
    passed, failed = passed + bool(holds), failed + (not holds)


def schema(name):
    path = Path(os.environ["FWDELTA_DOCS"]) / "schemas" / name
    return etree.RelaxNG(etree.parse(str(path)))


def parsed(data):
    """As a careful reader: no entities, no network, no huge documents."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    return etree.fromstring(data, parser)


def says(tree, files, prompt):
    """A descriptor of 1.0 describes one file, one of 2.0 all of them, with the user's prompt."""
    space = DD1 if tree.tag.startswith(DD1) else DD2
    def text(path):
        return [node.text for node in tree.iter(*(space + name for name in path))]

    names = [uri.rsplit("/", 1)[1] for uri in text(["server"] if space == DD2 else ["objectURI"])]
    sizes = [files[name][0] for name in names]
    ids = ["sha256:" + files[name][1] for name in names]
    return (
        text(["description"]) == [prompt]
        and text(["size"]) == [str(size) for size in sizes]
        and (space == DD1 or (text(["objectID"]) == ids and set(names) == set(files)))
    )


def refused(schemas, data):
    """What no schema may let pass: everything mandatory missing or said twice, and worse."""
    tree = parsed(data)
    space = tree.tag.split("}")[0] + "}"
    rules = schemas[space]
    for name in ["type", "size", "objectURI"]:
        for change in ["missing", "twice"]:
            copy = parsed(data)
            node = next(copy.iter(space + name))
            if change == "missing":
                node.getparent().remove(node)
            elif name != "type":
                node.addnext(parsed(etree.tostring(node)))
            check(f"schema {space}: {name} {change}",
                  rules.validate(copy) == (change == "twice" and name == "type"))
    for name, text in [("size", "1,000"), ("size", "-1"), ("size", ""), ("type", "x"),
                       ("description", "x" * 1025), ("name", " "), ("infoURL", "ftp://e.com/"),
                       ("nextURL", "javascript:alert(1)")]:
        copy = parsed(data)
        next(copy.iter(space + name)).text = text
        check(f"schema {space}: {name} is {text[:20]!r}", not rules.validate(copy))
    copy = parsed(data)
    etree.SubElement(copy, space + "extra")
    check(f"schema {space}: an unknown element", not rules.validate(copy))


def main():
    command = os.environ["FWDELTA"]
    schemas = {DD1: schema("dd-1.0.rng"), DD2: schema("dd-2.0.rng")}
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)

        def run(*arguments):
            subprocess.run([command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

        run("keygen", "--out", work / "vendor")
        release = RELEASE + "".join(
            f"[language.{tag}.prompts]\nbefore_download = {json.dumps(text, ensure_ascii=False)}\n"
            for tag, text in PROMPTS.items())
        (work / "release.toml").write_text(release, encoding="utf-8")
        for parts in [1, 2, 3]:
            dir = work / f"{parts}"
            dir.mkdir()
            components = []
            for part in range(parts):
                old = bytes((7 * at + part) % 251 for at in range(3000))
                (work / f"old{part}").write_bytes(old)
                (work / f"new{part}").write_bytes(old[:900] + b"changed" + old[950:])
                components += ["--component", f"c{part}:{work}/old{part}:{work}/new{part}"]
            run("build", *components, "--key", work / "vendor.key", "--sequence", 7, "--detached",
                "--release", work / "release.toml", "-o", dir / "update 1.suit")
            files = {path.name.replace(" ", "%20"): (path.stat().st_size,
                     hashlib.sha256(path.read_bytes()).hexdigest()) for path in dir.iterdir()}
            out, again = work / f"dd{parts}", work / f"again{parts}"
            for where in [out, again]:
                run("describe", dir / "update 1.suit", "--release", work / "release.toml",
                    "--base-uri", BASE, "--out-dir", where)
            found = sorted(path for path in out.iterdir() if path.suffix in [".dd", ".dd2"])
            valid = true = stable = True
            for path in found:
                data = path.read_bytes()
                tree = parsed(data)
                language = path.name.removeprefix("fwdelta-2.1.0.").split(".")[0]
                valid &= schemas[tree.tag.split("}")[0] + "}"].validate(tree)
                true &= says(tree, files, PROMPTS[language])
                stable &= data == (again / path.name).read_bytes()
            named = f"{len(found)} descriptors of {parts} components"
            # 1.0 has one file per object, 2.0 one for all; the envelope is an object too.
            check(f"{named}: as many as there should be",
                  len(found) == len(PROMPTS) * (parts + 1 + 1))
            check(f"{named}: valid by their schemas", valid)
            check(f"{named}: say what the release says", true)
            check(f"{named}: the same bytes twice", stable)
            count += len(found)
        for name in ["fwdelta-2.1.0.de.dd", "fwdelta-2.1.0.de.dd2"]:
            refused(schemas, (work / "dd1" / name).read_bytes())
    check(f"{count} descriptors are at least 200", count >= 200)
    print(f"\ntest result: {'ok' if not failed else 'FAILED'}. {passed} passed; {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
