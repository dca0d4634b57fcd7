"""The use cases: one `async def f(request, context) -> reply` for each operation, one module for each noun.

`application` opens the parts, authenticates callers and runs the use cases; nothing here knows HTTP.
"""
