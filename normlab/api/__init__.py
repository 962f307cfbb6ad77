"""The sweep as functions: `normlab.run`, `normlab.read_run` and `normlab.Run`.

``python -m normlab.sweep`` is a shell around `normlab.api.sweep`.
"""
