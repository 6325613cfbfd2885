"""Measures validation and listing of VRPs, beside librtr's own table."""

from __future__ import annotations

import gc
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cffi import FFI

import _rtrlib
from bench import trees
from bench.generate import text_of
from bench.report import Comparison, interleaved
from bench.section import Setting
from rtrlib.pfx_table import PfxTable
from rtrlib.vrp_table import VRPTable

SOURCE = Path(__file__).with_name("librtr.c")
CDEF = """
struct packed { uint8_t addr[16]; uint32_t asn; uint8_t len, max, family, announce; };
void *bench_fill(const void *vrps, size_t n);
void bench_addresses(const void *routes, size_t n, void *out);
double bench_validate(void *table, const void *routes, const void *addresses, size_t n, uint8_t *out);
"""
LINE_BY_LINE = "py-radix, line by line"
WORDS = ("valid", "not-found", "invalid")


def load(folder: Path) -> Any:
    """Compile the loops in C around librtr."""
    builder = FFI()
    builder.cdef(CDEF)
    builder.set_source(
        "_librtr_bench", SOURCE.read_text(encoding="utf-8"), libraries=["rtr"], extra_compile_args=["-O2"]
    )
    spec = importlib.util.spec_from_file_location("_librtr_bench", builder.compile(str(folder)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seconds(function: Callable[[], object]) -> float:
    """One run, with the garbage of the run before gone."""
    gc.collect()
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def cpu(function: Callable[[], object]) -> float:
    """One run, in seconds of CPU."""
    gc.collect()
    begin = time.process_time()
    function()
    return time.process_time() - begin


def loaded(vrps: list[bytes], folder: Path, rounds: int) -> dict[str, list[float]]:
    """Read the same file into a table of ours and into a radix tree."""
    file = folder / "vrps.csv.gz"
    table = PfxTable()
    table.add_records((asn, address, length, most) for address, length, most, asn in map(text_of, vrps))
    table.to_csv(file)
    assert set(PfxTable.from_file(file)) == set(table)
    assert sum(len(node.data["vrps"]) for node in trees.load_py_radix(file)) == len(table)
    return interleaved(
        rounds,
        {
            "rtrlib PfxTable.from_file": lambda: cpu(lambda: PfxTable.from_file(file)),
            LINE_BY_LINE: lambda: cpu(lambda: trees.load_py_radix(file)),
        },
    )


class Tables:
    """The same VRPs in librtr's table and in ours, and routes in each one's form."""

    def __init__(self, vrps: list[bytes], routes: list[bytes], folder: Path) -> None:
        self.native = load(folder)
        ffi, lib = self.native.ffi, self.native.lib
        packed = b"".join(vrps)
        self.table = lib.bench_fill(packed, len(vrps))
        assert self.table != ffi.NULL, "librtr does not take the VRPs"
        self.count = len(routes)
        self.packed_routes = b"".join(routes)
        self.addresses = _rtrlib.ffi.new("struct lrtr_ip_addr[]", self.count)
        lib.bench_addresses(
            self.packed_routes, self.count, ffi.cast("void *", _rtrlib.ffi.cast("uintptr_t", self.addresses))
        )
        self.texts = [(asn, address, length) for address, length, _, asn in map(text_of, routes)]
        self.ours = PfxTable()
        self.ours._table().change(0, packed)  # noqa: SLF001 - one by one would be the measurement of something else
        assert len(self.ours) == len(vrps)

    def librtr_in_c(self) -> tuple[float, bytes]:
        ffi = self.native.ffi
        out = ffi.new("uint8_t[]", self.count)
        addresses = ffi.cast("void *", _rtrlib.ffi.cast("uintptr_t", self.addresses))
        taken = self.native.lib.bench_validate(self.table, self.packed_routes, addresses, self.count, out)
        return taken, bytes(ffi.buffer(out))

    def librtr_once_a_route(self, routes: list[tuple[int, Any, int]]) -> list[int]:
        validate, new = _rtrlib.lib.pfx_table_validate, _rtrlib.ffi.new
        table = _rtrlib.ffi.cast("struct pfx_table *", self.native.ffi.cast("uintptr_t", self.table))
        result = new("enum pfxv_state *")
        found = []
        for asn, address, length in routes:
            validate(table, asn, address, length, result)
            found.append(result[0])
        return found

    def librtr_from_text(self) -> list[int]:
        validate, new = _rtrlib.lib.pfx_table_validate, _rtrlib.ffi.new
        convert = _rtrlib.lib.lrtr_ip_str_to_addr
        table = _rtrlib.ffi.cast("struct pfx_table *", self.native.ffi.cast("uintptr_t", self.table))
        result, address = new("enum pfxv_state *"), new("struct lrtr_ip_addr *")
        found = []
        for asn, text, length in self.texts:
            convert(text.encode(), address)
            validate(table, asn, address, length, result)
            found.append(result[0])
        return found

    def one_by_one(self) -> list[int]:
        validate = self.ours.validate
        return [validate(asn, text, length).state for asn, text, length in self.texts]


def _of(rounds: dict[str, list[float]], other: str) -> dict[str, list[float]]:
    """Ours and one other."""
    ours = next(iter(rounds))
    return {ours: rounds[ours], other: rounds[other]}


def measure(setting: Setting) -> list[Comparison]:
    """Compare; AssertionError when the two sides do not agree on what is valid."""
    vrps, rounds = setting.vrps, setting.rounds
    tables = Tables(vrps, setting.routes, setting.folder)
    count = tables.count
    ready = [(asn, tables.addresses + i, length) for i, (asn, _, length) in enumerate(tables.texts)]
    _, truth = tables.librtr_in_c()
    assert tables.ours.validate_many(tables.packed_routes) == truth
    assert tables.one_by_one() == list(truth) == tables.librtr_from_text() == tables.librtr_once_a_route(ready)
    mix = ", ".join(f"{truth.count(state) * 100 // count} % {word}" for state, word in enumerate(WORDS))
    note = f"{count:,} routes ({mix}) over {len(vrps):,} VRPs, {setting.origin}; both sides agree on every route."

    by_radix, by_tricia = trees.py_radix(vrps), trees.tricia(vrps)
    assert by_radix(tables.texts) == truth == by_tricia(tables.texts)

    def each(function: Callable[[], object]) -> float:
        return seconds(function) / count * 1e6

    def c_loop() -> float:
        return tables.librtr_in_c()[0] / count * 1e6

    print("validate, one at a time, us", flush=True)
    single = interleaved(
        rounds,
        {
            "rtrlib validate": lambda: each(tables.one_by_one),
            "librtr through cffi from text": lambda: each(tables.librtr_from_text),
            "librtr through cffi from a ready struct": lambda: each(lambda: tables.librtr_once_a_route(ready)),
            "librtr in a C loop": c_loop,
            "pytricia in a loop": lambda: each(lambda: by_tricia(tables.texts)),
        },
    )
    beside_pytricia = _of(single, "pytricia in a loop")
    del single["pytricia in a loop"]
    print("validate_many, us", flush=True)
    many = interleaved(
        rounds,
        {
            "rtrlib validate_many": lambda: each(lambda: tables.ours.validate_many(tables.packed_routes)),
            "librtr in a C loop": c_loop,
            "py-radix in a loop": lambda: each(lambda: by_radix(tables.texts)),
            "pytricia in a loop": lambda: each(lambda: by_tricia(tables.texts)),
        },
    )
    print("a file, s of CPU", flush=True)
    read = loaded(vrps, setting.folder, rounds)
    print("records, s", flush=True)
    table = VRPTable()
    table.activate({0: None})
    table.stage(0, b"".join(vrps))
    table.commit(0, full=True)
    listed = interleaved(rounds, {"rtrlib records": lambda: seconds(lambda: list(table.records()))})
    forms = (
        "Ours takes (AS, address as text, length), checks them, and returns the validity with its reason. librtr's "
        "return only the state, from the same text or from a struct that was made before."
    )
    one_at_a_time = "Validate, one route at a time from Python"
    in_one = "Validate, many routes in one call"
    at_most = 1.5 * len(vrps) / 800_000
    return [
        Comparison(one_at_a_time, "us a route", single, "librtr through cffi from text", 1.3, [note, forms]),
        Comparison(
            f"{one_at_a_time}, beside pytricia",
            "us a route",
            beside_pytricia,
            "pytricia in a loop",
            1.0,
            ["Nobody asks for reasons, which ours makes when somebody does."],
        ),
        Comparison(
            f"{in_one}, beside librtr", "us a route", _of(many, "librtr in a C loop"), "librtr in a C loop", 0.1, [note]
        ),
        *(
            Comparison(
                f"{in_one}, beside {tree}", "us a route", _of(many, f"{tree} in a loop"), f"{tree} in a loop", 0.05
            )
            for tree in ("py-radix", "pytricia")
        ),
        Comparison(
            f"Load {len(vrps):,} VRPs from a file",
            "s of CPU",
            read,
            LINE_BY_LINE,
            1.0,
            ["Routinator's CSV, packed by gzip. Ours checks every field."],
        ),
        Comparison(f"List {len(vrps):,} VRPs in Python", "s", listed, None, at_most, ["Each as a PFXRecord."]),
    ]
