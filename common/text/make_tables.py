#!/usr/bin/env python3
"""make_tables.py — writes unicode_tables.h from Debian's unicode-data, and html_entities.h from the
HTML standard's list as Python's library holds it. Run by hand, in this folder, for a new Unicode."""
import html
import html.entities

FOLDER = "/usr/share/unicode/"


def rows(path):
    for line in open(FOLDER + path, encoding="utf-8"):
        fields = [f.strip() for f in line.split("#")[0].split(";")]
        if len(fields) > 1:
            yield fields


def ranges(codes):
    """[[first, last], ...] of a set of code points"""
    out = []
    for c in sorted(codes):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def property_of(path, name):
    codes = set()
    for field in rows(path):
        if field[1] == name:
            first, _, last = field[0].partition("..")
            codes |= set(range(int(first, 16), int(last or first, 16) + 1))
    return codes


def read_characters():
    category, lower, first = {}, {}, None
    for f in rows("UnicodeData.txt"):
        code = int(f[0], 16)
        if f[1].endswith(", First>"):
            first = code
        for c in range(first if f[1].endswith(", Last>") else code, code + 1):
            category[c] = f[2]
        if f[13]:
            lower[code] = int(f[13], 16)
    return category, lower


def lower_ranges(lower):
    """[first, last, step, difference]: every step-th code point has the same distance to its form"""
    out = []
    for c, form in sorted(lower.items()):
        d = form - c
        if out and out[-1][3] == d:
            first, last, step, _ = out[-1]
            if c - last == step or (first == last and c - last <= 2):
                out[-1] = [first, c, c - last, d]
                continue
        out.append([c, c, 1, d])
    return out


def c_table(name, table):
    cells = ["{" + ", ".join(hex(v) if v > 9 else str(v) for v in row) + "}" for row in table]
    text, line = "static const int32_t %s[][%d] = {\n" % (name, len(table[0])), "   "
    for cell in cells:
        if len(line) + len(cell) > 97:
            text, line = text + line + "\n", "   "
        line += " " + cell + ","
    return text + line.rstrip(",") + "};\n"


def write(path, about, text):
    guard = path.upper().replace(".", "_")
    with open(path, "w", encoding="utf-8") as f:
        f.write("/* %s — %s\n * Written by make_tables.py. */\n#ifndef %s\n#define %s\n\n"
                "#include <stdint.h>\n\n%s\n#endif\n" % (path, about, guard, guard, text))


def unicode_tables():
    category, lower = read_characters()
    of = lambda letter: ranges(c for c, k in category.items() if k[0] == letter)
    core = "DerivedCoreProperties.txt"
    tables = [("letters", of("L")), ("numbers", of("N")),
              ("spaces", ranges(property_of("PropList.txt", "White_Space"))),
              ("cased", ranges(property_of(core, "Cased"))),
              ("case_ignorable", ranges(property_of(core, "Case_Ignorable")))]
    text = "/* first and last of each range */\n" + "\n".join(c_table(*t) for t in tables)
    text += "\n/* first, last, step, distance to the lower-case form */\n"
    text += c_table("lower", lower_ranges(lower))
    write("unicode_tables.h", "properties of Unicode 15's code points.", text)


def escaped(text):
    return "".join(c if 32 < ord(c) < 127 and c not in '\\"' else
                   "".join("\\%03o" % b for b in c.encode()) for c in text)


def entities():
    """one string: NAME SPACE TEXT for each, those that need no ; before those that do"""
    table = html.entities.html5
    lines = []
    for name in sorted(table):
        lines.append(escaped(name) + " " + escaped(table[name]).replace(" ", "\\040") + "\\0")
    text, line = "static const char entities[] =\n", '    "'
    for cell in lines:
        if len(line) + len(cell) > 98:
            text, line = text + line + '"\n', '    "'
        line += cell
    text += line + '";\n\n/* numbers that are not the code point they say: Windows-1252 and zero */\n'
    text += c_table("odd_numbers", [[n, ord(c)] for n, c in sorted(html._invalid_charrefs.items())])
    text += "\n/* first and last of each range of numbers that give nothing */\n"
    text += c_table("no_characters", ranges(html._invalid_codepoints))
    write("html_entities.h", "HTML's named characters: name, text, name, text, in strcmp's order.",
          text)


unicode_tables()
entities()
