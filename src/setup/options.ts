/** The options of `bursar setup`. */
export interface SetupValues {
  readonly http?: boolean;
  readonly stdio?: boolean;
  readonly remove?: boolean;
  readonly dryRun?: boolean;
}
