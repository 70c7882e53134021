"""What can be set for a llama.cpp model; names are llama.cpp's where it has one."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from swarmgate.api import PATH, Options, Placement

from swarmgate_backend_llamacpp.rpc.arguments import DEFAULT_LISTEN, Arguments, read

KvType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]


class LlamaOptions(Options, frozen=True):
    """The options of ``use = "llamacpp"``."""

    #: A GGUF file (the first part, if it has several), or the name of one in the models folder; unset: the small model
    #: that comes with swarmgate[demo].
    model: Annotated[str, PATH] | None = None
    #: What clients call it; unset: the file's name without .gguf.
    name: str | None = None
    #: Further names it answers to.
    aliases: tuple[str, ...] = ()
    #: Where it goes: auto: here if it fits, else split over the workers; local: here in any case; split: split in any
    #: case.  Unset: what the placement of [gateway] says.
    placement: Placement | None = None
    #: Tokens of prompt and answer together in one request; 0: the model's own, at most 8192.
    context_size: Count = 0
    #: Answers written at once.
    slots: Annotated[int, Meta(ge=1, le=96)] = 4
    #: Tokens the KV cache holds for all answers and kept prompts; 0: context_size, or 2048 a slot if that is more.
    kv_size: Count = 0
    #: Prompts kept for their prefix after their answers have ended; 0 keeps none and shares nothing.
    kept_prompts: Annotated[int, Meta(ge=0, le=64)] = 8
    #: Most tokens computed in one step (llama.cpp's n_batch and n_ubatch).
    batch_size: Annotated[int, Meta(ge=32, le=8192)] = 512
    #: Whether an answer is the same, bit for bit, alone or in company, resumed or not; off reads prompts faster.
    #: It holds on the CPU, for quantized weights, by several threads with type_v = "q8_0"; the log says what hinders.
    exact: bool = True
    #: How long new prompts may hold up a step while answers are being written, in milliseconds.
    shared_step_ms: Positive = 100.0
    #: How long a step may take while no answer is being written, in milliseconds; a cancel waits for its end.
    alone_step_ms: Positive = 500.0
    #: Threads; 0: physical cores less one for the gateway.
    threads: Count = 0
    #: Threads for prompts; 0: as many as threads.
    threads_batch: Count = 0
    #: Layers to put on the GPU; -1: all.  Without a GPU it means nothing.
    gpu_layers: Annotated[int, Meta(ge=-1)] = -1
    #: The GPU that holds everything when split_mode is "none".
    main_gpu: Count = 0
    #: How several GPUs share a model.
    split_mode: Literal["none", "layer", "row"] = "layer"
    #: The share of each GPU, in any unit; empty: llama.cpp decides by memory.
    tensor_split: tuple[float, ...] = ()
    #: Whether to use flash attention; a quantized type_v needs it.
    flash_attention: Literal["auto", "on", "off"] = "auto"
    #: Type of the keys in the KV cache.
    type_k: KvType = "f16"
    #: Type of the values in the KV cache; another than type_k keeps answers exact by several threads.
    type_v: KvType = "f16"
    #: Whether to map the file into memory instead of reading it.
    mmap: bool = True
    #: Whether to keep the model from being swapped out.
    mlock: bool = False
    #: Whether to embed instead of chatting; auto: as the model was made for.
    embedding: Literal["auto", "on", "off"] = "auto"
    #: How a text's token vectors become one; auto: as the model says, else mean.
    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    #: A file with a chat template (Jinja) to use instead of the model's own.
    chat_template_file: Annotated[str, PATH] | None = None
    #: Whether llama.cpp's own messages go into the log (at level debug).
    verbose: bool = False


class ByMemoryOptions(Options, frozen=True):
    """The options of ``use = "by_memory"``."""

    #: Most workers that take part in one model, the largest; llama.cpp takes no more than 16.
    most_workers: Annotated[int, Meta(ge=1, le=16)] = 16


_PORT = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})"
_LISTEN = rf"^(\[[0-9A-Fa-f:.]+(%[^\s\[\]]+)?\]|[^:\s\[\]]+):{_PORT}\Z"


class LlamaCppRpcOptions(Options, frozen=True):
    """The options of ``use = "llama_cpp_rpc"``."""

    #: Address and port for those who borrow; port 0 takes a free one.  There is neither encryption nor a password,
    #: so nobody but this machine is let in unless you say so: 0.0.0.0 lets everybody in.  In a swarm, which finds the
    #: worker wherever it is, the default gives way to a free port where it is taken.
    listen: Annotated[str, Meta(pattern=_LISTEN, examples=["127.0.0.1:50052"])] = DEFAULT_LISTEN
    #: Most memory to lend, over all devices, in megabytes (1,048,576 bytes); unset: all that is free.
    memory_mb: Annotated[int, Meta(ge=1)] | None = None
    #: Threads that compute on the CPU; 0: physical cores less one.
    threads: Count = 0
    #: Devices to lend, divided by commas, such as "CUDA0,CUDA1"; unset: all but the CPU, or if there is no other, that.
    device: str = ""
    #: Whether to keep the tensors that were sent, so that a model's second load need not send them again.
    tensor_cache: bool = True
    #: Folder for these tensors; nothing is ever removed from it.  Unset: the folder "tensors" of the state folder.
    cache_dir: Annotated[str, PATH] | None = None
    #: The same in the words of llama.cpp's own rpc-server; what is said here goes before the other options.
    llama_cpp_args: Annotated[str, Meta(examples=["-H 0.0.0.0 -p 50052 -m 4096"])] = ""

    def __post_init__(self) -> None:
        """Refuse arguments that cannot be read."""
        try:
            read(self.llama_cpp_args)
        except ValueError as error:
            raise ValueError(f"llama_cpp_args: {error}") from None

    def resolved(self) -> LlamaCppRpcOptions:
        """Return the options with what *llama_cpp_args* says in its place."""
        said: Arguments = read(self.llama_cpp_args)
        given = {name: value for name, value in said._asdict().items() if value is not None}
        return msgspec.structs.replace(self, llama_cpp_args="", **given)
