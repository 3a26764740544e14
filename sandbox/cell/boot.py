"""The first program of a cell: reads the others from standard input, so that an image need not hold them."""

from __future__ import annotations

import json
import os
import sys
import types

size = int.from_bytes(os.read(0, 4), "big")
source = b""
while len(source) < size:
    source += os.read(0, size - len(source))
start = json.loads(source)
package = types.ModuleType("cell")
package.__path__ = []
sys.modules["cell"] = package
for name, text in start["modules"]:
    module = types.ModuleType("cell." + name)
    module.__package__ = "cell"
    sys.modules["cell." + name] = module
    setattr(package, name, module)
    exec(compile(text, "cell/" + name + ".py", "exec"), module.__dict__)
sys.modules["cell.supervisor"].main(start["options"])
