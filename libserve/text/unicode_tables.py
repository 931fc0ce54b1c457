#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes libserve/text/unicode_tables.inc. Needs: pip install unicodedata2 (Unicode 16.0 or newer)."""
import pathlib
import sys

import unicodedata2 as ucd

CATEGORIES = ("Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co").split()
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F,
               0x3000}
BLOCK = 128


def code_of(code_point: int) -> int:
    return CATEGORIES.index(ucd.category(chr(code_point))) | (0x20 if code_point in WHITE_SPACE else 0)


def rows(values, per_row):
    for i in range(0, len(values), per_row):
        yield ",".join(map(str, values[i:i + per_row])) + ","


def special_cases():
    """Code points whose upper, lower or title form is not one code point (Python's own tables: SpecialCasing.txt)."""
    for code_point in range(0x110000):
        char = chr(code_point)
        for kind, mapped in (("u", char.upper()), ("l", char.lower()), ("t", char.title())):
            if len(mapped) > 1:
                yield code_point, kind, "".join(f"\\x{b:02x}" for b in mapped.encode())


def main() -> None:
    if tuple(map(int, ucd.unidata_version.split(".")[:1])) < (16,):
        sys.exit("unicodedata2 with Unicode 16.0 or newer is needed")
    blocks, index = {}, []
    for start in range(0, 0x110000, BLOCK):
        block = tuple(code_of(c) for c in range(start, start + BLOCK))
        index.append(blocks.setdefault(block, len(blocks)))
    out = ["// SPDX-License-Identifier: Apache-2.0",
           f"// Written by libserve/text/unicode_tables.py from Unicode {ucd.unidata_version}. Do not edit.",
           f"constexpr uint16_t kBlockIndex[{len(index)}] = {{", *rows(index, 40), "};",
           f"constexpr uint8_t kBlocks[{len(blocks)}][{BLOCK}] = {{"]
    for block in blocks:
        out.append("{" + ",".join(map(str, block)) + "},")
    out += ["};", "constexpr SpecialCase kSpecialCases[] = {",
            *(f"{{0x{c:x}, '{kind}', \"{text}\"}}," for c, kind, text in special_cases()), "};", ""]
    target = pathlib.Path(__file__).resolve().parent / "unicode_tables.inc"
    target.write_text("\n".join(out))


if __name__ == "__main__":
    main()
