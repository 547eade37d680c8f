# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Writes evaluated modules (evaluate.py) as C: constant objects of MicroPython 1.25 that need no
# RAM. The layouts are those of py/obj.h, py/objfun.h and py/objproperty.c; the C compiler checks
# all but the last, which that file keeps to itself (zt_rom.h). Print only.

import sys

from values import Builtin, Class, Fun, Module, Native, Unsupported, Wrapped

# Slots of a type that are only worth their four bytes if one of these names is there to be found.
SPECIAL = (
    ("print", "zt_rom_print", "__str__ __repr__"),
    ("call", "mp_obj_instance_call", "__call__"),
    (
        "unary_op",
        "zt_rom_unary_op",
        "__bool__ __len__ __hash__ __int__ __neg__ __abs__ __invert__",
    ),
    (
        "binary_op",
        "zt_rom_binary_op",
        "__lt__ __gt__ __eq__ __le__ __ge__ __ne__ __contains__ __add__ __sub__ __mul__ __or__"
        " __and__ __xor__ __mod__ __floordiv__ __truediv__ __lshift__ __rshift__ __pow__"
        " __matmul__ __iadd__ __isub__ __imul__ __ior__ __iand__ __ixor__ __ilshift__ __irshift__"
        " __imod__ __ifloordiv__ __itruediv__ __ipow__ __radd__ __rsub__ __rmul__ __ror__ __rand__"
        " __rxor__ __rmod__",
    ),
    ("subscr", "zt_rom_subscr", "__getitem__ __setitem__ __delitem__"),
    ("iter", "mp_obj_instance_getiter", "__iter__ __next__"),
)
SMALL_INT = 1 << 30


def put(text=""):
    sys.stdout.write(text + "\n")


class Emitter:
    """`symbols`: (module, name...) of C -> (type, symbol); `used`: a set to which the interned
    strings go."""

    def __init__(self, tool, symbols, used):
        self.tool = tool
        self.symbols = symbols
        self.used = used
        self.done = {}  # id of an object -> C expression
        self.keep = []  # so that ids stay theirs
        self.count = 0
        self.declared = set()
        self.bytes = 0

    # ---- names

    def interned(self, text):
        """The C name of an interned string; None for others."""
        q = self.tool.global_qstrs.find_by_str(text)
        if q is None:
            return None
        self.used.add(text)
        return q.qstr_id

    def qstr(self, text):
        found = self.interned(text)
        if found is None:
            raise Unsupported("no interned string for %r" % text)
        return found

    def fresh(self, hint):
        self.count += 1
        return "zt_rom_%d_%s" % (self.count, "".join(c if c.isalnum() else "_" for c in hint))

    @staticmethod
    def context(m):
        return "zt_rom_module_" + m.name.replace(".", "_")

    def declare(self, text):
        """A declaration of a C module's symbol, once."""
        if text not in self.declared:
            self.declared.add(text)
            put(text)

    # ---- values

    def ref(self, value, hint):
        """The C expression (an mp_rom_obj_t) of a value; its definition is printed before."""
        if value is True or value is False or value is None:
            return "MP_ROM_" + {True: "TRUE", False: "FALSE", None: "NONE"}[value]
        if isinstance(value, int) and -SMALL_INT <= value < SMALL_INT:
            return "MP_ROM_INT(%d)" % value
        if isinstance(value, str) and self.interned(value):
            return "MP_ROM_QSTR(%s)" % self.qstr(value)
        if isinstance(value, Module):
            return "MP_ROM_PTR(&%s)" % self.context(value)
        if isinstance(value, Native):
            return self.native(value)
        if isinstance(value, Builtin):
            return self.builtin(value)
        if id(value) in self.done:
            return self.done[id(value)]
        self.keep.append(value)
        if isinstance(value, (int, str, bytes, float)):
            name = self.fresh(hint)
            found = self.tool.CompiledModule.freeze_constant_obj(None, name, value)
            self.bytes += 16
        elif isinstance(value, tuple):
            found = self.tuple(value, hint)
        elif isinstance(value, dict):
            found = "MP_ROM_PTR(&%s)" % self.dict(value, hint)
        elif isinstance(value, Fun):
            found = self.fun(value, hint)
        elif isinstance(value, Class):
            found = self.type(value)
        elif isinstance(value, Wrapped):
            found = self.wrapped(value, hint)
        else:
            raise Unsupported("%s is %r, which must be changeable" % (hint, value))
        self.done[id(value)] = found
        return found

    def native(self, value):
        if len(value.path) == 1:
            self.declare("extern const struct _mp_obj_module_t mp_module_%s;" % value.path[0])
            return "MP_ROM_PTR(&mp_module_%s)" % value.path[0]
        if value.path not in self.symbols:
            raise Unsupported("the C symbol of %s: name the module instead" % ".".join(value.path))
        kind, symbol = self.symbols[value.path]
        self.declare("extern const %s %s;" % (kind, symbol))
        return "MP_ROM_PTR(&%s)" % symbol

    def builtin(self, value):
        if value.name[:1].isupper():
            return "MP_ROM_PTR(&mp_type_%s)" % value.name
        raise Unsupported("the name %s" % value.name)

    def tuple(self, value, hint):
        if not value:
            return "MP_ROM_PTR(&mp_const_empty_tuple_obj)"
        items = [self.ref(v, "%s_%d" % (hint, i)) for i, v in enumerate(value)]
        name = self.fresh(hint)
        put("static const mp_rom_obj_tuple_t %s = {{&mp_type_tuple}, %d, {" % (name, len(items)))
        put("    %s" % ", ".join(items))
        put("}};")
        self.bytes += 8 + 4 * len(items)
        return "MP_ROM_PTR(&%s)" % name

    def hash(self, key):
        """As mp_map_lookup has it for names and small numbers; None for others."""
        if isinstance(key, str) and self.interned(key):
            n = self.tool.config.MICROPY_QSTR_BYTES_IN_HASH or 2
            return self.tool.qstrutil.compute_hash(key.encode(), n)
        if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < SMALL_INT:
            return key
        return None

    def table(self, entries):
        """The slots of a hash table with a few empty ones, or None where a key has no known
        hash."""
        hashes = [self.hash(k) for k, _ in entries]
        if None in hashes or not entries:
            return None
        size = len(entries) + len(entries) // 16
        slots = [None] * size
        for h, entry in zip(hashes, entries):
            at = h % size
            while slots[at] is not None:
                at = (at + 1) % size
            slots[at] = entry
        return slots

    def dict(self, names, hint, link=""):
        """The name of a constant mp_obj_dict_t."""
        entries = [(k, self.ref(v, "%s_%s" % (hint, k))) for k, v in names.items()]
        slots = self.table(entries)
        rows = slots if slots is not None else entries
        name = self.fresh(hint)
        if rows:
            put("static const mp_rom_map_elem_t %s_table[] = {" % name)
            for row in rows:
                if row is None:
                    put("    {MP_ROM_PTR(NULL), MP_ROM_PTR(NULL)},")
                else:
                    put("    {%s, %s}," % (self.ref(row[0], hint), row[1]))
            put("};")
        put("static const mp_obj_dict_t %s = {" % name)
        put("    .base = {&mp_type_dict},")
        put("    .map = {")
        strings = all(isinstance(k, str) and self.hash(k) is not None for k, _ in entries)
        put("        .all_keys_are_qstrs = %d," % strings)
        put("        .is_fixed = 1,")
        put("        .is_ordered = %d," % (slots is None))
        put("        .used = %d," % len(entries))
        put("        .alloc = %d," % len(rows))
        if rows:
            put("        .table = (mp_map_elem_t *)(mp_rom_map_elem_t *)%s_table," % name)
        put("    },")
        put("};")
        self.bytes += 16 + 8 * len(rows)
        return name

    def fun(self, f, hint):
        if f.cells:
            raise Unsupported("super() in %s, which ties it to an object in RAM" % hint)
        extra = [self.ref(v, hint + "_default") for v in f.defaults or ()]
        if f.kw_defaults is not None:
            extra.append("MP_ROM_PTR(&%s)" % self.dict(f.kw_defaults, hint + "_kw"))
        code = f.code
        if code.escaped_name not in self.done:
            self.done[code.escaped_name] = code
            code.freeze_raw_code = lambda *args: None  # it makes no function at run time
            code.freeze()
        name = self.fresh(hint)
        kind = "gen_wrap" if code.scope_flags & self.tool.MP_SCOPE_FLAG_GENERATOR else "fun_bc"
        put("static const mp_obj_fun_bc_t %s = {" % name)
        put("    .base = {&mp_type_%s}," % kind)
        put("    .context = &%s," % self.context(f.module))
        if code.children:
            put(
                "    .child_table = (struct _mp_raw_code_t *const *)&children_%s,"
                % code.escaped_name
            )
        put("    .bytecode = fun_data_%s," % code.escaped_name)
        if extra:
            put("    .extra_args = {%s}," % ", ".join("(mp_obj_t)" + e for e in extra))
        put("};")
        self.bytes += 16 + 4 * len(extra)
        return "MP_ROM_PTR(&%s)" % name

    def wrapped(self, w, hint):
        items = [self.ref(v, hint) for v in w.items]
        name = self.fresh(hint)
        if w.kind == "property":
            put("static const zt_rom_property_t %s = {" % name)
            put("    {&mp_type_property}, {%s}," % ", ".join(items))
        else:
            put("static const mp_rom_obj_static_class_method_t %s = {" % name)
            put("    {&mp_type_%s}, %s," % (w.kind, items[0]))
        put("};")
        self.bytes += 4 + 4 * len(items)
        return "MP_ROM_PTR(&%s)" % name

    def type(self, c):
        bases = [b for b in c.bases if getattr(b, "name", "") != "object"]
        parent = self.ref(bases[0] if len(bases) == 1 else tuple(bases), c.name + "_bases")
        hint = c.module.name + "_" + c.name
        names = self.dict(c.names, hint)
        name = "zt_rom_type_" + hint.replace(".", "_")
        native = c.native()
        slots = [("make_new", "zt_rom_make_new"), ("attr", "zt_rom_attr")]
        for slot, symbol, wanted in SPECIAL:
            if native or any(c.lookup(w) for w in wanted.split()):
                slots.append((slot, symbol))
        if native:
            slots.append(("buffer", "zt_rom_buffer"))
        slots.append(("locals_dict", "&" + names))
        if bases:
            slots.append(("parent", parent.replace("MP_ROM_PTR(", "")[:-1]))
        accessors = self.accessors(c)
        flags = "ZT_ROM_TYPE_FLAGS" + (
            " | MP_TYPE_FLAG_HAS_SPECIAL_ACCESSORS" if accessors else ""
        )
        put("extern const mp_obj_type_t %s;" % name)
        put("const mp_obj_type_t %s = {" % name)
        put("    .base = {&mp_type_type},")
        put("    .flags = %s," % flags)
        put("    .name = %s," % self.qstr(c.name))
        for i, (slot, _) in enumerate(slots):
            put("    .slot_index_%s = %d," % (slot, i + 1))
        put("    .slots = {%s}," % ", ".join("(const void *)%s" % s for _, s in slots))
        put("};")
        self.bytes += 20 + 4 * len(slots)
        return "MP_ROM_PTR(&%s)" % name

    def accessors(self, c):
        for value in c.names.values():
            if isinstance(value, Wrapped) and value.kind == "property":
                return True
        return any(isinstance(b, Class) and self.accessors(b) for b in c.bases)

    # ---- modules

    def declare_module(self, m):
        put("extern const mp_module_context_t %s;" % self.context(m))

    def constants(self, m):
        escaped = m.compiled.escaped_name
        put("    .constants = {")
        put("        .qstr_table = (qstr_short_t *)const_qstr_table_data_%s," % escaped)
        if m.compiled.obj_table:
            put("        .obj_table = (mp_obj_t *)const_obj_table_data_%s," % escaped)
        put("    },")

    def rom_module(self, m, table, is_package):
        """The objects of a module that was evaluated here."""
        names = self.dict(m.names, m.name)
        objects = [self.ref(v, m.name + "_const") for v in table.object_list]
        escaped = m.compiled.escaped_name
        m.compiled.obj_table = objects
        put("static const qstr_short_t const_qstr_table_data_%s[] = {" % escaped)
        put("    %s" % ", ".join(self.qstr(n) for n in table.name_list))
        put("};")
        if objects:
            put("static const mp_rom_obj_t const_obj_table_data_%s[] = {" % escaped)
            put("    %s" % ", ".join(objects))
            put("};")
        put("const mp_module_context_t %s = {" % self.context(m))
        put("    .module = {{&mp_type_module}, (mp_obj_dict_t *)&%s}," % names)
        self.constants(m)
        put("};")
        if is_package:
            put("const mp_obj_module_t mp_module_%s = {" % m.name)
            put("    {&mp_type_module}, (mp_obj_dict_t *)&%s" % names)
            put("};")

    def ram_module(self, m, index):
        """One that the board evaluates; upstream has written its code and constants."""
        put("const mp_module_context_t %s = {" % self.context(m))
        put("    .module = {{&mp_type_module}, &MP_STATE_VM(zt_rom_globals)[%d]}," % index)
        self.constants(m)
        put("};")

    def ram_row(self, m):
        code = m.compiled.raw_code.escaped_name
        put("    {%s, &%s, &proto_fun_%s}," % (self.qstr(m.name), self.context(m), code))
