"""Searches the vectors of `cargo bench -p vedette-models --bench gallery` with FAISS, exactly and with one thread.

faiss_flat.py TEMPLATES QUERIES DIMENSION K: both files hold little-endian f32 rows. Says on one line, as JSON, which rows are
the best K of each query and how similar; then, for every number that comes in, the seconds each of so many queries takes.
"""

import json
import sys
import time

import faiss
import numpy

templates_path, queries_path, dimension, k = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
faiss.omp_set_num_threads(1)
index = faiss.IndexFlatIP(dimension)
templates = numpy.memmap(templates_path, dtype="<f4", mode="r").reshape(-1, dimension)
for start in range(0, len(templates), 65536):
    index.add(numpy.ascontiguousarray(templates[start : start + 65536]))
del templates
queries = numpy.fromfile(queries_path, dtype="<f4").reshape(-1, dimension)

similarities, rows = index.search(queries, k)
print(json.dumps({"rows": rows.tolist(), "similarities": similarities.tolist()}), flush=True)

# One query at a time, by pointers made beforehand: what Python adds to a search is then a call.
pointers = [
    (faiss.swig_ptr(queries[place : place + 1]), faiss.swig_ptr(similarities[place]), faiss.swig_ptr(rows[place]))
    for place in range(len(queries))
]
for line in sys.stdin:
    seconds = []
    for query, similarity, row in pointers[: int(line)]:
        begun = time.perf_counter()
        index.search_c(1, query, k, similarity, row)
        seconds.append(time.perf_counter() - begun)
    print(json.dumps(seconds), flush=True)
