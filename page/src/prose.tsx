/** Answers as models write them, in Markdown, as elements: what they hold is never taken for HTML, and nothing is fetched. */

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { Copy } from "./parts";

type Block =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string; language: string; open: boolean }
  | { kind: "heading"; text: string }
  | { kind: "list"; ordered: boolean; first: number; items: string[] };

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`]*$/;
const HEADING = /^ {0,3}#{1,6} +(.+?)(?: +#+)?$/;
const BULLET = /^ {0,3}[-*+] +(.+)$/;
const NUMBER = /^ {0,3}(\d{1,9})[.)] +(.+)$/;

/** Divide a text into blocks; one whose end has not come yet is as good as one that has. */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let code: { fence: string; block: Extract<Block, { kind: "code" }>; lines: string[] } | null = null;
  for (const line of text.split("\n")) {
    if (code) {
      const closes = line.trim().startsWith(code.fence) && line.trim().replaceAll(code.fence[0] as string, "") === "";
      if (!closes) {
        code.lines.push(line);
        code.block.text = code.lines.join("\n");
      } else {
        code.block.open = false;
        code = null;
      }
      continue;
    }
    const fence = FENCE.exec(line);
    if (fence) {
      const block = { kind: "code" as const, text: "", language: fence[2] ?? "", open: true };
      code = { fence: fence[1] as string, block, lines: [] };
      blocks.push(block);
    } else {
      takeLine(blocks, line);
    }
  }
  return blocks.filter((block) => block.kind !== "text" || block.text.trim() !== "");
}

function takeLine(blocks: Block[], line: string): void {
  const last = blocks.at(-1);
  const heading = HEADING.exec(line);
  const number = NUMBER.exec(line);
  const item = BULLET.exec(line)?.[1] ?? number?.[2];
  if (heading) {
    blocks.push({ kind: "heading", text: heading[1] as string });
  } else if (item !== undefined) {
    const ordered = number !== null;
    if (last?.kind === "list" && last.ordered === ordered) last.items.push(item);
    else blocks.push({ kind: "list", ordered, first: Number(number?.[1] ?? 1), items: [item] });
  } else if (last?.kind === "list" && /^ {2,}\S/.test(line)) {
    last.items[last.items.length - 1] += `\n${line.trimStart()}`;
  } else if (last?.kind === "list" && line.trim() === "") {
    // an empty line between items, or behind the last one
  } else if (last?.kind === "text") {
    last.text += `\n${line}`;
  } else {
    blocks.push({ kind: "text", text: line });
  }
}

const INLINE = /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)|\*\*(?=\S)([^*]+?)\*\*|(?<![\w*])\*(?=\S)([^*\n]+?)\*(?![\w*])/g;

/** Code, strong and emphasised words; all else stays as it was written. */
function inline(text: string): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > from) parts.push(text.slice(from, found.index));
    const [whole, , code, strong, stressed] = found;
    if (code !== undefined) parts.push(<code>{code}</code>);
    else if (strong !== undefined) parts.push(<strong>{strong}</strong>);
    else parts.push(<em>{stressed}</em>);
    from = found.index + whole.length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** `writing` says that more is to come: a caret stands at its end. */
export function Prose({ text, writing }: { text: string; writing: boolean }) {
  const blocks = useMemo(() => blocksOf(text), [text]);
  return (
    <div class={writing ? "text writing" : "text"}>
      {blocks.map((block, index) => (
        <Shown key={index} block={block} />
      ))}
    </div>
  );
}

function Shown({ block }: { block: Block }) {
  switch (block.kind) {
    case "code":
      return (
        <div class="listing">
          <p class="note">
            <span>{block.language || "code"}</span>
            {!block.open && <Copy text={block.text} what="the code" />}
          </p>
          <pre tabIndex={0} aria-label={`${block.language || "A piece of"} code`}>
            <code>{block.text}</code>
          </pre>
        </div>
      );
    case "heading":
      return (
        <p>
          <strong>{inline(block.text)}</strong>
        </p>
      );
    case "list": {
      const items = block.items.map((item, index) => <li key={index}>{inline(item)}</li>);
      return block.ordered ? <ol start={block.first}>{items}</ol> : <ul>{items}</ul>;
    }
    default:
      return <p>{inline(block.text.replace(/^\n+|\n+$/g, ""))}</p>;
  }
}
