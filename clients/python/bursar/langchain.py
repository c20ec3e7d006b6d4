"""The tools for LangChain.

    from bursar.langchain import langchain_tools

    tools = langchain_tools(bursar_tools(Bursar.from_env(), max_amount="0.10"))

Needs the package `langchain-core`.
"""

import json
from typing import Any, Callable, List

from .tools import Tool


def langchain_tools(tools: List[Tool]) -> List[Any]:
    """One `StructuredTool` for each tool of `bursar_tools`. Their answers are JSON text."""
    try:
        from langchain_core.tools import StructuredTool
    except ImportError as error:
        raise ImportError("install bursar[langchain]") from error
    return [
        StructuredTool.from_function(
            func=_runner(tool),
            name=tool.name,
            description=tool.description,
            args_schema=tool.parameters,
        )
        for tool in tools
    ]


def _runner(tool: Tool) -> Callable[..., str]:
    def run(**arguments: Any) -> str:
        return json.dumps(tool.call(arguments))

    return run
