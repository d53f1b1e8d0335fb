/** The schema of `policy`, read from the domain's own list of fields and ranges. */
import { z } from 'zod';
import { type FieldRule, POLICY_FIELDS, type PolicyOverrides, PRESETS, type PresetName } from '../../domain/policy.js';
import { durationMs, expected, numberWhere, oneOf, wholeNumber } from './fields.js';

const schemaOf = (rule: FieldRule): z.ZodType => {
  switch (rule.kind) {
    case 'choice':
      return oneOf(...(rule.choices as [string, ...string[]]));
    case 'number': {
      const { min, max } = rule;
      const isInRange = (value: number): boolean => value >= min && value <= max;
      return numberWhere(`a number from ${min} to ${max}`, isInRange).meta({ minimum: min, maximum: max });
    }
    case 'count':
      return wholeNumber(rule.min, rule.max);
    case 'duration': {
      const { min, max, zeroAllowed } = rule;
      if (!zeroAllowed) return durationMs(min, max);
      const isInRange = (ms: number): boolean => Number.isInteger(ms) && (ms === 0 || (ms >= min && ms <= max));
      const what = `whole milliseconds from ${min} to ${max}, or 0`;
      return numberWhere(what, isInRange).meta({ type: 'integer', minimum: 0, maximum: max });
    }
  }
};

/** What a field of the policy takes, by its dotted path. */
export const policyField = (path: string): z.ZodType<number> => {
  const rule = POLICY_FIELDS[path];
  if (rule === undefined) throw new Error(`there is no policy field ${path}`);
  return schemaOf(rule) as z.ZodType<number>;
};

type Shape = Record<string, z.ZodType>;

const objectOf = (shape: Shape): z.ZodType => z.strictObject(shape, { error: expected('an object') });

const shapes = (): Shape => {
  const top: Shape = {};
  const nested = new Map<string, Shape>();
  for (const [path, rule] of Object.entries(POLICY_FIELDS)) {
    const [group = '', field] = path.split('.');
    if (field === undefined) top[group] = schemaOf(rule).optional();
    else nested.set(group, { ...nested.get(group), [field]: schemaOf(rule).optional() });
  }
  for (const [group, shape] of nested) top[group] = objectOf(shape).optional();
  return top;
};

/** Some fields of a policy; nested ones too. */
export const policyOverrides = objectOf(shapes()).meta({ id: 'PolicyOverrides' }) as z.ZodType<PolicyOverrides>;

export const preset = oneOf(...(Object.keys(PRESETS) as [PresetName, ...PresetName[]]));
