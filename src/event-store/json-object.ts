import type { JsonObject } from './event-store.js';

/** What a text of the database says; undefined when it is no JSON object: somebody wrote over it. */
export const jsonObject = (text: string): JsonObject | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
};
