// Uses the openai package and Vercel's AI SDK as their users do, and prints what came of it as JSON.
//
// node clients.mjs BASE_URL CHAT_MODEL

import { createOpenAI } from '@ai-sdk/openai'
import { generateText, Output, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { zodTextFormat } from 'openai/helpers/zod'
import { z } from 'zod'

const [url, model] = process.argv.slice(2)
const client = new OpenAI({ baseURL: url, apiKey: 'none needed', maxRetries: 0 })
const provider = createOpenAI({ baseURL: url, apiKey: 'none needed' })
const instructions = 'You are a helpful AI assistant.'
const question = 'Name the capital of France.'
const chat = {
  model,
  messages: [{ role: 'system', content: instructions }, { role: 'user', content: question }],
  temperature: 0,
  max_tokens: 24
}
const asked = { model, instructions, input: question, temperature: 0, max_output_tokens: 24 }
const place = z.object({ capital: z.boolean(), language: z.string() })
const parameters = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 } },
  required: ['city'],
  additionalProperties: false
}
const weather = { type: 'function', name: 'get_weather', description: 'Get the weather of a city', strict: true, parameters }
const forced = {
  ...asked,
  input: 'How is the weather in Paris?',
  tools: [weather],
  tool_choice: { type: 'function', name: 'get_weather' },
  max_output_tokens: 60
}
const prompt = { system: instructions, prompt: question, temperature: 0, maxOutputTokens: 24, maxRetries: 0 }

const scenes = {
  async chat () {
    return (await client.chat.completions.create(chat)).choices[0].message.content
  },

  async chat_streamed () {
    const pieces = []
    for await (const chunk of await client.chat.completions.create({ ...chat, stream: true })) {
      pieces.push(chunk.choices[0]?.delta?.content ?? '')
    }
    return pieces
  },

  async response () {
    const answer = await client.responses.create(asked)
    return { text: answer.output_text, again: (await client.responses.retrieve(answer.id)).output_text }
  },

  async response_streamed () {
    const seen = []
    for await (const event of await client.responses.create({ ...asked, stream: true })) {
      seen.push({ type: event.type, number: event.sequence_number, delta: event.delta })
    }
    return seen
  },

  async response_by_helper () {
    const stream = client.responses.stream({ ...asked, text: { format: zodTextFormat(place, 'place') }, max_output_tokens: 100 })
    return (await stream.finalResponse()).output_parsed
  },

  async call () {
    const first = await client.responses.create(forced)
    const [call] = first.output
    const result = { type: 'function_call_output', call_id: call.call_id, output: '21 degrees' }
    const second = await client.responses.create({
      ...asked, previous_response_id: first.id, input: [result], tools: [weather], tool_choice: 'none'
    })
    return { name: call.name, arguments: JSON.parse(call.arguments), text: second.output_text }
  },

  async refused () {
    return await client.responses.create({ ...asked, background: true }).then(() => null, (error) => ({
      kind: error.constructor.name, status: error.status, code: error.code, param: error.param
    }))
  },

  async ai_text () {
    const { text, usage, finishReason } = await generateText({ model: provider(model), ...prompt })
    return { text, usage, finishReason }
  },

  async ai_chat () {
    return (await generateText({ model: provider.chat(model), ...prompt })).text
  },

  async ai_streamed () {
    const pieces = []
    for await (const piece of streamText({ model: provider(model), ...prompt }).textStream) {
      pieces.push(piece)
    }
    return pieces
  },

  async ai_object () {
    const shaped = { ...prompt, maxOutputTokens: 100, output: Output.object({ schema: place }) }
    return (await generateText({ model: provider(model), ...shaped })).output
  },

  async ai_tools () {
    const cities = []
    const get_weather = tool({
      description: 'Get the weather of a city',
      inputSchema: z.object({ city: z.string().max(20) }),
      execute: async ({ city }) => { cities.push(city); return '21 degrees' }
    })
    const { steps, text } = await generateText({
      model: provider(model),
      ...prompt,
      prompt: 'How is the weather in Paris?',
      maxOutputTokens: 60,
      tools: { get_weather },
      stopWhen: stepCountIs(2),
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' })
    })
    return { cities, steps: steps.length, text }
  }
}

const told = {}
for (const [name, scene] of Object.entries(scenes)) {
  told[name] = await scene().catch((error) => ({ raised: String(error) }))
}
console.log(JSON.stringify(told))
