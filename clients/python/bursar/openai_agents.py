"""The tools for the OpenAI Agents SDK.

    from bursar.openai_agents import openai_agents_tools

    agent = Agent(name="buyer", tools=openai_agents_tools(bursar_tools(Bursar.from_env())))

Needs the package `openai-agents`.
"""

import asyncio
from typing import Any, Awaitable, Callable, List

from .tools import Tool, call_tool


def openai_agents_tools(tools: List[Tool]) -> List[Any]:
    """One `FunctionTool` for each tool of `bursar_tools`. Their answers are JSON text."""
    try:
        from agents import FunctionTool
    except ImportError as error:
        raise ImportError("install bursar[openai-agents]") from error
    return [
        FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.parameters,
            on_invoke_tool=_runner(tool),
            # Strict schemas require every property; most arguments here are optional.
            strict_json_schema=False,
        )
        for tool in tools
    ]


def _runner(tool: Tool) -> Callable[[Any, str], Awaitable[str]]:
    async def run(_context: Any, arguments: str) -> str:
        return await asyncio.to_thread(call_tool, [tool], tool.name, arguments)

    return run
