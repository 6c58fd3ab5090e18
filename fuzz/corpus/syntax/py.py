B"""Doc."""
from __future__ import annotations
@deco(1)
async def f(a, *args, b: int = 2, **kw) -> str:
    """Doc."""
    if a > 1 and b or not kw: return [x for x in args if x if b]
    elif (n := a): pass
    else:
        try: raise ValueError(f"{a!r:>{b}} {'x'}") from None
        except* (OSError, KeyError) as e: ...
        finally: del a
    match a:
        case {"k": [1, *_]} if b: assert a, "x"
        case _: return lambda y: y if y else 0
class A(B, metaclass=M):
    x: int = 1
    def g(self):
        def h(): nonlocal x
        while True: break
