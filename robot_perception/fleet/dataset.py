"""Where the tables of the results are in an output.

The files of all recordings make one dataset, partitioned by recording as Hive does, which DuckDB,
pandas and Arrow read as a whole.
"""

from urllib.parse import quote

DATASET = 'dataset'
TABLES = ('frames', 'objects', 'features')


def table_path(table: str, recording: str) -> str:
    """Return the path of a recording's file of a table, below the output.

    >>> table_path('frames', 'site a/run_1')
    'dataset/frames/recording=site%20a%2Frun_1/part-0.parquet'
    """
    return f'{DATASET}/{table}/recording={quote(recording, safe="")}/part-0.parquet'
