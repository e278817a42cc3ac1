"""Starts bqemulator 1.4.0, fixed for use without network and by the Rust client.

Each fix names the defect that it works around; nothing of the package is copied. What BigQuery
does that this does not is in the README of `tests/emulators`.

Environment: BQ_SPATIAL=1 loads DuckDB's `spatial` (a download; only GEOGRAPHY needs it),
BQ_SNAPSHOTS=1 keeps a snapshot of the table after every append (time travel; slow).
"""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

# Read when the package is imported.
os.environ.setdefault("BQEMU_ENABLE_FORMAT_EXTENSIONS", "false")

import grpc
import pyarrow as pa
from bqemulator.api.routes import tabledata
from bqemulator.api.routes import tables
from bqemulator.domain.errors import ValidationError
from bqemulator.grpc_api import write_servicer
from bqemulator.storage.engine import DuckDBEngine
from bqemulator.versioning.snapshots import SnapshotManager
from google.cloud.bigquery_storage_v1 import types

# Appends that may be open at once, those whose client went away included.
APPENDS_MAX = 1000
# What marks an error text that carries the errors of single rows, as JSON.
ROW_ERRORS = "ROWERR"


def do_not_download_spatial():
    """The engine downloads an extension at its start, whether it is used or not."""
    DuckDBEngine._load_spatial = lambda self: None


def keep_sub_fields_of_records():
    """Storage Write dropped the sub-fields of a RECORD: "STRUCT does not match"."""
    write_servicer._table_arrow_schema = lambda table: tabledata._build_arrow_schema(
        tabledata._fields_raw_from_schema(table.schema_.fields)
    )


def change_tables_with_their_schema():
    """tables.patch and update changed the catalogue but not the table, and let columns go."""
    read_meta = tables._rest_to_table_meta

    def meta_and_columns(project, dataset, body, clock, existing=None):
        meta = read_meta(project, dataset, body, clock, existing)
        if existing is None or not existing.schema_.fields:
            return meta
        old = {field.name for field in existing.schema_.fields}
        gone = old - {field.name for field in meta.schema_.fields}
        if gone:
            raise ValidationError(
                "Provided Schema does not match Table. "
                f"Field {sorted(gone)[0]} is missing in new schema"
            )
        added = [field for field in meta.schema_.fields if field.name not in old]
        # The caller's context has the engine; it is not among the arguments.
        context = sys._getframe(1).f_locals["ctx"]
        table = tables.quoted_table_ref(project, dataset, meta.table_id)
        columns = tables.bq_schema_to_duckdb_columns([tables._field_to_rest(f) for f in added])
        for name, kind in columns:
            context.engine.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}')
        return meta

    tables._rest_to_table_meta = meta_and_columns


def refuse_rows_that_do_not_fit():
    """Extra columns were dropped in silence, failed casts were UNKNOWN: both are
    INVALID_ARGUMENT. Null in REQUIRED and bad JSON are errors of single rows."""
    align = write_servicer._align_to_target
    read_proto = write_servicer.proto_rows_to_arrow_table
    answer_error = write_servicer._error_response

    def align_strictly(table, target):
        extra = [name for name in table.column_names if name not in target.names]
        if extra:
            raise ValueError(
                "Input schema has more fields than BigQuery schema, "
                f"extra fields: '{','.join(extra)}'"
            )
        try:
            aligned = align(table, target)
        except (pa.ArrowException, ValueError) as error:
            raise ValueError(str(error)) from error
        return check_rows(aligned, target)

    def answer_with_rows(stream, detail, **more):
        if not detail.startswith(ROW_ERRORS):
            return answer_error(stream, detail, **more)
        text = (
            "Errors found while processing rows. Please refer to the row_errors field for "
            f"details. Entity: {stream}"
        )
        answer = types.AppendRowsResponse.deserialize(answer_error(stream, text, **more))
        answer.row_errors = [
            types.RowError(
                index=index, code=types.RowError.RowErrorCode.FIELDS_ERROR, message=message
            )
            for index, message in json.loads(detail[len(ROW_ERRORS) :])
        ]
        return types.AppendRowsResponse.serialize(answer)

    write_servicer._align_to_target = align_strictly
    write_servicer.proto_rows_to_arrow_table = lambda descriptor, rows, target: check_rows(
        read_proto(descriptor, rows, target), target
    )
    write_servicer._error_response = answer_with_rows


def check_rows(rows, target):
    """The rows, where each fits; otherwise an error that names those that do not."""
    bad = []
    for field in target:
        column = rows.column(field.name)
        if not field.nullable and column.null_count:
            bad += [
                (index, f"Field {field.name}: missing required field")
                for index, is_null in enumerate(column.is_null().to_pylist())
                if is_null
            ]
        is_json = (field.metadata or {}).get(b"bq_type") == b"JSON"
        if is_json and not str(field.type).startswith("list"):
            bad += bad_json(field.name, column.to_pylist())
    if bad:
        raise ValueError(ROW_ERRORS + json.dumps(sorted(bad)))
    return rows


def bad_json(name, values):
    """The rows whose value is not JSON, with why."""
    bad = []
    for index, value in enumerate(values):
        if value is None:
            continue
        try:
            json.loads(value)
        except Exception as error:
            bad.append((index, f"Field {name}: invalid JSON: {error}"))
    return bad


def let_later_requests_omit_the_stream():
    """Requests after the first of a connection need no `write_stream`, and google-cloud-bigquery
    0.19 sends none; they were answered NOT_FOUND."""
    handler = write_servicer.BigQueryWriteHandler
    bind = handler._ensure_stream_bound

    def bind_or_stay(self, name, bound, context):
        return bound if (not name and bound) else bind(self, name, bound, context)

    handler._ensure_stream_bound = bind_or_stay


def give_every_thread_its_connection():
    """DuckDB 2 refuses a call on a connection that is busy in another thread: a 500, or a broken
    append. The main thread keeps the first connection."""
    mine, making = threading.local(), threading.Lock()
    start, shared = DuckDBEngine.start, DuckDBEngine.connection.fget

    async def started(self):
        await start(self)
        self._root = self._connection.cursor()

    def connection(self):
        if threading.current_thread() is threading.main_thread() or self._connection is None:
            return shared(self)
        if getattr(mine, "root", None) is not self._root:
            with making:
                mine.own, mine.root = self._root.cursor(), self._root
            mine.own.execute("SET TimeZone = 'UTC'")
        return mine.own

    DuckDBEngine.start, DuckDBEngine.connection = started, property(connection)


def give_every_append_a_thread():
    """An open AppendRows holds a thread, and there were as many as CPUs and four. A client that is
    killed in the middle of an append never gives its thread back, since nobody takes the answer:
    after six of them no append was answered any more. Nor was one to a seventh table."""
    make = grpc.aio.server
    grpc.aio.server = lambda **more: make(ThreadPoolExecutor(APPENDS_MAX), **more)


def keep_no_snapshots():
    """A snapshot of the whole table after every append makes an append as slow as the table is
    long."""
    SnapshotManager.capture = lambda self, *args, **more: None


if __name__ == "__main__":
    if os.environ.get("BQ_SPATIAL") != "1":
        do_not_download_spatial()
    if os.environ.get("BQ_SNAPSHOTS") != "1":
        keep_no_snapshots()
    keep_sub_fields_of_records()
    change_tables_with_their_schema()
    refuse_rows_that_do_not_fit()
    let_later_requests_omit_the_stream()
    give_every_thread_its_connection()
    give_every_append_a_thread()
    # Last, so that nothing takes what is replaced above before it is replaced.
    from bqemulator.cli import main

    sys.argv[0] = "bqemulator"
    sys.exit(main())
