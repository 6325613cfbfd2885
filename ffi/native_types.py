"""Writes what type checkers read of the C extensions, as packages of types alone: _rov-stubs and so on (PEP 561).

`make venv` has them written beside the extensions; a wheel has them, too. `struct vrp_list` is the class VrpList, and
so is a pointer to one, as cffi gives both the same members.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from itertools import chain
from keyword import iskeyword
from pathlib import Path

from cffi import FFI, model

HEAD = """# Written by ffi/native_types.py from the C headers.
from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, Protocol, Self, TypeVar, overload

T = TypeVar("T")
Data = TypeVar("Data", bound=CData)

class CData:
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    def __getitem__(self, at: int) -> Any: ...
    def __setitem__(self, at: int, value: Any) -> None: ...

class Array(CData, Generic[T]):  # or a pointer to numbers
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[T]: ...
    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Array[T]: ...
    def __setitem__(self, at: int | slice, value: Any) -> None: ...
    def __add__(self, n: int) -> Array[T]: ...

class Buffer(Protocol):
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...
    def __getitem__(self, at: slice) -> bytes: ...
    def __setitem__(self, at: slice, value: bytes) -> None: ...

class Ffi:
    NULL: Any
    CData: type
    CType: type
    errno: int
    error: type[Exception]
    def alignof(self, cdecl: Any) -> int: ...
    def callback(self, cdecl: str, python_callable: Any = ..., error: Any = ..., onerror: Any = ...) -> Any: ...
    def getctype(self, cdecl: Any, replace_with: str = ...) -> str: ...
    def init_once(self, function: Callable[[], T], tag: str) -> T: ...
    def integer_const(self, name: str) -> int: ...
    def list_types(self) -> tuple[list[str], list[str], list[str]]: ...
    def memmove(self, dest: Any, src: Any, n: int) -> None: ...
    def new_allocator(self, alloc: Any = ..., free: Any = ..., should_clear_after_alloc: bool = ...) -> Any: ...
    def release(self, cdata: CData) -> None: ...
    @overload
    def gc(self, cdata: Data, destructor: Callable[[Data], None]) -> Data: ...
    @overload
    def gc(self, cdata: Data, destructor: None) -> None: ...
    def buffer(self, cdata: CData, size: int = ...) -> Buffer: ...
    @overload
    def from_buffer(self, buffer: Any) -> Array[bytes]: ...
    @overload
    def from_buffer(self, cdecl: str, buffer: Any) -> Array[Any]: ...
    def offsetof(self, cdecl: str, member: str) -> int: ...
    def unpack(self, cdata: Array[T], length: int) -> list[T]: ...
    def string(self, cdata: CData) -> bytes: ...
    def addressof(self, cdata: CData, *fields: str | int) -> Any: ...
    def sizeof(self, what: str | CData) -> int: ...
    def typeof(self, cdecl: Any) -> Any: ...
    def cast(self, cdecl: str, value: Any) -> Any: ...
    def new_handle(self, value: Any) -> CData: ...
    def from_handle(self, handle: CData) -> Any: ...
    def def_extern(self, name: str = ..., error: Any = ..., onerror: Any = ...) -> Callable[[T], T]: ...
"""

OVERLOAD = "    @overload\n    def new(self, cdecl: {}, init: Any = ...) -> {}: ..."
NUMBERS = ", ".join(
    f'"{name}{form}"' for name in ("size_t", "uint8_t", "uint32_t", "uint64_t") for form in (" *", "[]")
)


def class_of(struct: str) -> str:
    """Name the class that a struct is."""
    return struct.title().replace("_", "")


def named(ctype: model.BaseTypeByIdentity, *, given: bool) -> str:
    """Name the Python type of a value that C gives, or (`given`) is given."""
    match ctype:
        case model.VoidType():
            return "None"
        case model.PrimitiveType(name="_Bool"):
            return "bool"
        case model.PrimitiveType(name="char"):
            return "bytes"
        case model.PrimitiveType() | model.UnknownIntegerType() | model.EnumType():
            return "int"
        case model.StructType():
            return class_of(ctype.name) if ctype.name.isidentifier() else "Any"
        case model.ArrayType(item=item):
            return f"Array[{named(item, given=False)}]"
        case model.PointerType(totype=of):
            return _pointer(of, given=given)
        case _:
            return "Any"


def _pointer(of: model.BaseTypeByIdentity, *, given: bool) -> str:
    match of:
        case model.VoidType():
            return "bytes | CData" if given else "Any"
        case model.StructType(name=name):
            return f"{class_of(name)} | Array[{class_of(name)}]" if given else class_of(name)
        case model.PrimitiveType(name="char" | "uint8_t") if given:
            return "bytes | Array[bytes] | Array[int]"
        case model.PrimitiveType():
            return f"Array[{named(of, given=False)}]"
        case _:
            return "Any"


def stub(builder: FFI) -> str:
    """Give the text of the module's .pyi."""
    parser = vars(vars(builder)["_parser"])  # not public, but nothing else tells of functions that are not compiled
    constants = dict.fromkeys(parser["_int_constants"])
    structs: dict[str, list[str]] = {}
    functions = []
    for declared, (ctype, _) in parser["_declarations"].items():
        kind, name = declared.split(" ", 1)
        if kind == "struct":
            fields = zip(ctype.fldnames or (), ctype.fldtypes or (), strict=True)
            members = [f"    {field}: {named(of, given=False)}" for field, of in fields if not iskeyword(field)]
            structs[name] = [f"class {class_of(name)}(CData):", *(members or ["    ..."])]
        elif kind == "function":
            args = "".join(f", _{n}: {named(arg, given=True)}" for n, arg in enumerate(ctype.args))
            functions.append(f"    def {name}(self{args}, /) -> {named(ctype.result, given=False)}: ...")
        elif kind == "macro":
            constants[name] = None
        elif isinstance(ctype, model.EnumType):
            constants |= dict.fromkeys(ctype.enumerators)
        elif kind == "extern_python":
            functions.append(f"    {name}: CData")
    new = {'"char[]"': "Array[bytes]", NUMBERS: "Array[int]"}
    for name in structs:
        new |= {f'"struct {name} *"': class_of(name), f'"struct {name}[]"': f"Array[{class_of(name)}]"}
    news = [OVERLOAD.format(f"Literal[{forms}]", given) for forms, given in new.items()]
    news.append(OVERLOAD.format("str", "Any"))
    members = [f"    {name}: int" for name in constants]
    classes = [*news, *chain.from_iterable(structs.values()), "class Lib:", *members, *functions]
    return HEAD + "\n".join([*classes, "ffi: Ffi", "lib: Lib", ""])


def write(modules: Iterable[str], folder: Path) -> None:
    """Write the types of these modules, and of `_rtrlib`, which is `_librtr` by its old name."""
    texts = {module: stub(importlib.import_module(f"build{module}").ffibuilder) for module in modules}
    if "_librtr" in texts:
        texts["_rtrlib"] = "from _librtr import *\n"
    for module, text in texts.items():
        file = folder / f"{module}-stubs" / "__init__.pyi"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(("_rov", "_librtr"), Path(__file__).parent)
