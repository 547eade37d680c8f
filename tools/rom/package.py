# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# From compiled modules to C: which are evaluated here and which on the board, in what order things
# are done and written, and which names the firmware needs for it.

import contextlib
import io

import link
from emit import Emitter, put
from evaluate import Evaluator
from values import Module, Native, Unsupported

CONST = ("micropython", "const")


def module_name(cm):
    name = cm.source_file.str[:-3].replace("/", ".")
    return name[: -len(".__init__")] if name.endswith(".__init__") else name


def strings(objects):
    """All strings in a table of constants."""
    for value in objects:
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from strings(value)


def evaluate(tool, package, modules):
    """Evaluate those that are constant; all that is wrong with them in one message."""
    evaluator = Evaluator(tool, modules, package)
    failed = []
    for name in sorted(modules):
        try:
            evaluator.module(name)
        except Unsupported as e:
            failed.append("%s: %s" % (name, e))
    if failed:
        raise Unsupported("; ".join(failed))
    for m in modules.values():
        # const() has done its work in the compiler; modules that are not frozen may import it.
        for key, value in list(m.names.items()):
            if (
                isinstance(value, Native)
                and value.path == CONST
                and m.name != package + "._compat"
            ):
                del m.names[key]


def link_all(tool, rom, ram, offers):
    """Resolve names in the code, forget some, number what is left: name -> Table."""
    codes = {}
    for m in rom:
        codes[m.name] = link.every_code(tool, link.functions_of(m))
        for code in codes[m.name]:
            code.resolve(m)
    wanted = link.asked_for(
        tool,
        [c for found in codes.values() for c in found],
        [m.compiled.raw_code for m in ram],
    )
    tables = {}
    for m in rom:
        if m.name not in offers:
            link.forget(m, wanted)
        tables[m.name] = table = link.Table()
        for code in codes[m.name]:
            code.refer(table)
        table.number(m.compiled.source_file.str)
        for code in codes[m.name]:
            code.write(table)
            code.rc.qstr_table = [tool.global_qstrs.find_by_str(n) for n in table.name_list]
            code.rc.obj_table = table.object_list
    return tables


def complete(tool, package, modules, names):
    """Give the package what an import looks for in it, and the public `names` of its modules."""
    root = modules[package]
    for name, where in names.items():
        if where is None:
            root.names[name] = Native((name,))
        else:
            root.names[name] = modules["%s.%s" % (package, where[0])].names[where[1]]
    root.names["__path__"] = "/lib/" + package  # for what is not frozen
    root.names["__init__"] = Native((package, "__init__"))
    for m in modules.values():
        if m is not root:
            root.names[m.name[len(package) + 1 :]] = m
    for text in list(root.names) + [root.names["__path__"]] + list(modules):
        tool.global_qstrs.add(text)


def write(emitter, package, rom, ram, tables):
    """The C text, after that of upstream."""
    put()
    put("/" * 80)
    put("// modules of %s as constant objects" % package)
    put('#include "zt_rom.h"')
    for m in rom + ram:
        emitter.declare_module(m)
    for i, m in enumerate(ram):
        emitter.ram_module(m, i)
    for m in rom:
        put()
        put("// ---- %s" % m.name)
        emitter.rom_module(m, tables[m.name], m.name == package)
    put("const zt_rom_ram_t zt_rom_ram[] = {")
    for m in ram:
        emitter.ram_row(m)
    put("};")
    put("const size_t zt_rom_ram_n = %d;" % len(ram))
    put('_Static_assert(%d <= ZT_ROM_RAM_MODULES, "zt_rom.h");' % len(ram))
    put("// constant objects of %d modules: %d bytes" % (len(rom), emitter.bytes))


def freeze(tool, theirs, config, idents, compiled):
    """In place of mpy-tool's freeze_mpy, which is `theirs`."""
    package = config["PACKAGE"]
    in_ram = ["%s.%s" % (package, n) for n in config["RAM"]]
    modules = {}
    others = []
    for cm in compiled:
        name = module_name(cm)
        if name.split(".")[0] == package:
            modules[name] = Module(name, cm, name in in_ram)
        if name.split(".")[0] != package or name in in_ram:
            others.append(cm)
    for name in in_ram:
        if name not in modules:
            raise Unsupported("RAM names %s, which is not frozen" % name)
    evaluate(tool, package, modules)
    rom = [m for m in modules.values() if not m.in_ram]
    ram = [modules[name] for name in in_ram]
    tables = link_all(tool, rom, ram, ["%s.%s" % (package, n) for n in config["OFFERS"]])
    complete(tool, package, modules, config["NAMES"])

    def write_all(used):
        emitter = Emitter(tool, config["SYMBOLS"], used)
        write(emitter, package, rom, ram, tables)

    # Once to learn which names are used, once for good.
    used = set()
    tool.const_str_content = tool.const_int_content = tool.const_obj_content = 0
    tool.bc_content = tool.raw_code_count = tool.raw_code_content = 0
    with contextlib.redirect_stdout(io.StringIO()):
        write_all(used)
    for cm in others:
        used.update(q.str for q in cm.qstr_table)
        used.update(strings(cm.obj_table))
    known = tool.global_qstrs.qstrs
    static = len(tool.qstrutil.static_qstr_list) + 1
    known[static:] = [q for q in known[static:] if q.str in used]
    theirs(idents, others)
    write_all(used)
