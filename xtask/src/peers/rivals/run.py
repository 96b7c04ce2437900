"""One delta by a Python rival: run.py TOOL diff OLD NEW PATCH, or run.py TOOL patch OLD PATCH NEW.

Each tool imports only what it needs, so that its start-up is its own.
"""

import sys


def hdiffpatch_codec(hdiffpatch, name):
    """The strongest setting of a codec, on one thread."""
    return {
        "zstd": lambda: hdiffpatch.ZStdConfig(level=22, window=27, threads=1),
        "lzma": lambda: hdiffpatch.LzmaConfig(level=9, window=26, threads=1),
        "brotli": lambda: hdiffpatch.BrotliConfig(level=11, window=24),
    }[name]()


def hdiffpatch(codec, verb, first, second, out):
    import hdiffpatch as library

    with open(first, "rb") as a, open(second, "rb") as b:
        first, second = a.read(), b.read()
    if verb == "diff":
        # The reconstruction is compared by whoever runs this.
        result = library.diff(
            first,
            second,
            compression=hdiffpatch_codec(library, codec),
            validate=False,
            big_cache_match=True,
        )
    else:
        result = library.apply(first, second)
    with open(out, "wb") as file:
        file.write(result)


def detools(mode, verb, first, second, out):
    import detools as library

    if verb == "patch":
        library.apply_patch_filenames(first, second, out)
        return
    options = {
        "sequential": {},
        "hdiffpatch": {"patch_type": "hdiffpatch", "algorithm": "hdiffpatch", "match_score": 6},
        "arm-cortex-m4": {"data_format": "arm-cortex-m4"},
        "aarch64": {"data_format": "aarch64"},
    }[mode]
    library.create_patch_filenames(first, second, out, compression="lzma", **options)


def bsdiff4(_, verb, first, second, out):
    import bsdiff4 as library

    if verb == "diff":
        library.file_diff(first, second, out)
    else:
        library.file_patch(first, out, second)


def main():
    tool, verb, first, second, out = sys.argv[1:]
    name, _, mode = tool.partition(":")
    tools = {"hdiffpatch": hdiffpatch, "detools": detools, "bsdiff4": bsdiff4}
    tools[name](mode, verb, first, second, out)


main()
