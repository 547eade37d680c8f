# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Makes the bytecode of constant modules smaller and faster: what a global name stands for is known
# and cannot change, so it is loaded as a constant, and names that nobody can ask for any more go.
# Knows bytecode, not C.

from values import Builtin, Class, Fun, Module, Native, Unsupported, Wrapped

SMALL_INT = 1 << 30


class Table:
    """Names and objects that code refers to by number, as often as it does."""

    def __init__(self):
        self.names = {}
        self.objects = {}
        self.values = {}

    def name(self, text):
        self.names[text] = self.names.get(text, 0) + 1

    def object(self, value):
        key = object_key(value)
        self.values[key] = value
        self.objects[key] = self.objects.get(key, 0) + 1

    def number(self, first):
        """Give the numbers, the most frequent the smallest; the name `first` is 0: there
        tracebacks look for the file's."""
        order = sorted((k for k in self.names if k != first), key=lambda k: (-self.names[k], k))
        self.name_list = [first] + order
        self.name_index = {k: i for i, k in enumerate(self.name_list)}
        order = list(self.objects)
        order.sort(key=lambda k: -self.objects[k])
        self.object_list = [self.values[k] for k in order]
        self.object_index = {k: i for i, k in enumerate(order)}


def object_key(value):
    if isinstance(value, (Fun, Class, dict)):
        return (id(value),)
    if isinstance(value, tuple):
        return ("tuple",) + tuple(object_key(v) for v in value)
    if isinstance(value, Module):
        return ("module", value.name)
    if isinstance(value, Native):
        return ("native", value.path)
    return (type(value).__name__, value)


class Op:
    """An instruction; `value` instead of an argument for LOAD_CONST_OBJ, `text` for names,
    `target` for jumps."""

    def __init__(self, byte, fmt, offset):
        self.byte = byte
        self.fmt = fmt
        self.offset = offset
        self.arg = None
        self.extra = None
        self.text = None
        self.value = None
        self.target = None


class Code:
    """The instructions of one function of a module; `rc` is mpy-tool's raw code."""

    def __init__(self, tool, rc):
        self.tool = tool
        self.rc = rc
        if rc.code_kind != tool.MP_CODE_BYTECODE:
            raise Unsupported("native code in %s" % rc.escaped_name)
        self.names = [rc.qstr_table[i].str for i in rc.names]
        self.cells = rc.fun_data[rc.offset_closure_info : rc.offset_opcodes]
        self.ops = []
        at = {}
        ip = rc.offset_opcodes
        while ip < len(rc.fun_data):
            fmt, size, arg, extra = tool.mp_opcode_decode(rc.fun_data, ip)
            op = Op(rc.fun_data[ip], fmt, ip)
            op.arg, op.extra = arg, extra
            if fmt == tool.MP_BC_FORMAT_QSTR:
                op.text = rc.qstr_table[arg].str
            elif op.byte == tool.Opcode.MP_BC_LOAD_CONST_OBJ:
                op.value = rc.obj_table[arg]
            at[ip] = op
            self.ops.append(op)
            ip += size
            if fmt == tool.MP_BC_FORMAT_OFFSET:
                # The byte behind the distance of UNWIND_JUMP does not count.
                op.target = ip + arg - (extra is not None)
        for op in self.ops:
            if op.target is not None:
                op.target = at[op.target]

    def load(self, op, value):
        """Make `op` a load of this constant; False if that cannot be said."""
        o = self.tool.Opcode
        fmt = self.tool.MP_BC_FORMAT_BYTE
        arg = text = obj = None
        if value is None or value is True or value is False:
            byte = {None: o.MP_BC_LOAD_CONST_NONE, True: o.MP_BC_LOAD_CONST_TRUE}.get(
                value, o.MP_BC_LOAD_CONST_FALSE
            )
        elif isinstance(value, int) and -16 <= value < 48:
            byte = o.MP_BC_LOAD_CONST_SMALL_INT_MULTI + 16 + value
        elif isinstance(value, int) and -SMALL_INT <= value < SMALL_INT:
            byte, fmt, arg = o.MP_BC_LOAD_CONST_SMALL_INT, self.tool.MP_BC_FORMAT_VAR_UINT, value
        elif isinstance(value, str) and self.tool.global_qstrs.find_by_str(value):
            byte, fmt, text = o.MP_BC_LOAD_CONST_STRING, self.tool.MP_BC_FORMAT_QSTR, value
        elif isinstance(value, Builtin):
            return False
        else:
            byte, fmt, obj = o.MP_BC_LOAD_CONST_OBJ, self.tool.MP_BC_FORMAT_VAR_UINT, value
        op.byte, op.fmt, op.arg, op.text, op.value = byte, fmt, arg, text, obj
        return True

    def resolve(self, m):
        """Load what the module holds as constants, and what constant modules in it hold."""
        o = self.tool.Opcode
        targets = [op.target for op in self.ops if op.target is not None]
        ops = []
        last = None  # the load of a module just before
        for op in self.ops:
            ops.append(op)
            if op.byte in (o.MP_BC_STORE_GLOBAL, o.MP_BC_DELETE_GLOBAL):
                raise Unsupported("%s changes the global %s" % (self.rc.escaped_name, op.text))
            if op.byte == o.MP_BC_LOAD_GLOBAL and op.text in m.names:
                m.resolved.add(op.text)
                self.load(op, m.names[op.text])
            elif last is not None and op not in targets and op.text in last.names:
                value = last.names[op.text]
                if op.byte == o.MP_BC_LOAD_ATTR and self.load(ops[-2], value):
                    ops.pop()
                elif op.byte == o.MP_BC_LOAD_METHOD and self.load(ops[-2], value):
                    op.byte, op.fmt = o.MP_BC_LOAD_NULL, self.tool.MP_BC_FORMAT_BYTE
                    op.arg = op.text = None
            last = ops[-1].value if isinstance(ops[-1].value, Module) else None
        self.ops = ops

    def refer(self, table):
        """Count what this code refers to."""
        for text in self.names:
            table.name(text)
        for op in self.ops:
            if op.text is not None:
                table.name(op.text)
            elif op.byte == self.tool.Opcode.MP_BC_LOAD_CONST_OBJ:
                table.object(op.value)

    def write(self, table):
        """Put the instructions back into the raw code, with the numbers of `table`."""
        tool, rc = self.tool, self.rc
        rc.names = [table.name_index[n] for n in self.names]
        info = b"".join(bytes(tool.mp_encode_uint(n)) for n in rc.names)
        for op in self.ops:
            if op.text is not None:
                op.arg = table.name_index[op.text]
            elif op.byte == tool.Opcode.MP_BC_LOAD_CONST_OBJ:
                op.arg = table.object_index[object_key(op.value)]
        # Jumps take a byte or two, by how far they go: repeat until nothing moves.
        moved = True
        while moved:
            moved = overflow = False
            out = b""
            for op in self.ops:
                if op.offset != len(out):
                    moved = True
                    op.offset = len(out)
                link = tool.Opcode(op.offset, op.fmt, op.byte, op.arg, op.extra)
                link.target = op.target
                far, encoded = tool.mp_opcode_encode(link)
                overflow = overflow or far
                out += bytes(encoded)
        if overflow:
            raise Unsupported("a jump too far in %s" % rc.escaped_name)
        head = rc.fun_data[: rc.offset_prelude_size]
        head += bytes(tool.encode_prelude_size(len(info), len(self.cells)))
        rc.offset_source_info = len(head)
        rc.offset_line_info = rc.offset_closure_info = len(head) + len(info)
        rc.offset_opcodes = rc.offset_closure_info + len(self.cells)
        rc.fun_data = head + info + self.cells + out


def every_code(tool, functions):
    """The code of a module's functions and of what is defined within them."""
    out = []
    seen = set()

    def walk(rc):
        if rc.escaped_name in seen:
            return
        seen.add(rc.escaped_name)
        out.append(Code(tool, rc))
        for child in rc.children:
            walk(child)

    for f in functions:
        walk(f.code)
    return out


def functions_of(m):
    """The functions that are reachable from a module's names and were defined in it."""
    found = []
    seen = set()

    def walk(value):
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, Fun):
            if value.module is m:
                found.append(value)
                walk(value.defaults)
        elif isinstance(value, Class):
            if value.module is m:
                walk(value.names)
        elif isinstance(value, dict):
            for v in value.values():
                walk(v)
        elif isinstance(value, tuple):
            for v in value:
                walk(v)
        elif isinstance(value, Wrapped):
            for v in value.items:
                walk(v)

    walk(m.names)
    return found


def asked_for(tool, codes, bodies):
    """Names that running code takes from some object or imports: `codes` of functions, `bodies`
    raw code of modules that the board evaluates."""
    o = tool.Opcode
    wanted = (o.MP_BC_LOAD_ATTR, o.MP_BC_LOAD_METHOD, o.MP_BC_IMPORT_FROM)
    found = set()

    def look(code):
        found.update(op.text for op in code.ops if op.byte in wanted)

    def walk(rc):
        look(Code(tool, rc))
        for child in rc.children:
            walk(child)

    for code in codes:
        look(code)
    for rc in bodies:
        walk(rc)
    return found


def forget(m, wanted):
    """Take names out of a module that no code asks for and no user should: private ones, and
    imported ones, unless they were imported to be offered again."""
    for key in list(m.names):
        private = key.startswith("_") and not key.endswith("__")
        own = key in m.imported and key in m.resolved
        if (private or own) and key not in wanted:
            del m.names[key]
