/** Errors of SelectObjectContent: AWS's codes, all 400, with their default words. Part of errors.ts's table. */
import type { SelectErrorCode } from "../object/select/errors.ts";

const row = <Message extends string>(message: Message): { readonly status: 400; readonly message: Message } => ({
  status: 400,
  message,
});

/** What the request's document may lack or say wrongly. */
type RequestCode =
  | "EmptyRequestBody"
  | "InvalidExpressionType"
  | "InvalidFileHeaderInfo"
  | "InvalidJsonType"
  | "InvalidQuoteFields"
  | "InvalidRequestParameter"
  | "MissingRequiredParameter"
  | "ObjectSerializationConflict"
  | "UnsupportedRangeHeader";

export const SELECT_ERRORS = {
  EmptyRequestBody: row("The request body cannot be empty."),
  InvalidExpressionType: row("The ExpressionType is not valid."),
  InvalidFileHeaderInfo: row("The FileHeaderInfo is not valid."),
  InvalidJsonType: row("The JsonType is not valid."),
  InvalidQuoteFields: row("The QuoteFields is not valid."),
  InvalidRequestParameter: row("A parameter of the SelectRequest is not valid."),
  MissingRequiredParameter: row("The SelectRequest is missing a required parameter."),
  ObjectSerializationConflict: row("The SelectRequest has more than one serialization."),
  UnsupportedRangeHeader: row("A Range header is not supported for this operation."),
  ExpressionTooLong: row("The SQL expression is too long."),
  InvalidColumnIndex: row("A column index of the SQL expression is not valid."),
  InvalidScanRange: row("The scan range is not valid."),
  InvalidTextEncoding: row("Only UTF-8 is supported."),
  UnsupportedScanRangeInput: row("A scan range is not possible for this input."),
  LexerInvalidChar: row("The SQL expression is not valid."),
  LexerInvalidLiteral: row("The SQL expression is not valid."),
  LexerInvalidIONLiteral: row("The SQL expression is not valid."),
  ParseAsteriskIsNotAloneInSelectList: row("The SQL expression is not valid."),
  ParseCastArity: row("The SQL expression is not valid."),
  ParseCannotMixSqbAndWildcardInSelectList: row("The SQL expression is not valid."),
  ParseEmptySelect: row("The SQL expression is not valid."),
  ParseExpectedDatePart: row("The SQL expression is not valid."),
  ParseExpectedExpression: row("The SQL expression is not valid."),
  ParseExpectedIdentForAlias: row("The SQL expression is not valid."),
  ParseExpectedKeyword: row("The SQL expression is not valid."),
  ParseExpectedLeftParenAfterCast: row("The SQL expression is not valid."),
  ParseExpectedLeftParenBuiltinFunctionCall: row("The SQL expression is not valid."),
  ParseExpectedMember: row("The SQL expression is not valid."),
  ParseExpectedNumber: row("The SQL expression is not valid."),
  ParseExpectedRightParenBuiltinFunctionCall: row("The SQL expression is not valid."),
  ParseExpectedTokenType: row("The SQL expression is not valid."),
  ParseExpectedTypeName: row("The SQL expression is not valid."),
  ParseExpectedWhenClause: row("The SQL expression is not valid."),
  ParseInvalidContextForWildcardInSelectList: row("The SQL expression is not valid."),
  ParseInvalidPathComponent: row("The SQL expression is not valid."),
  ParseInvalidTypeParam: row("The SQL expression is not valid."),
  ParseNonUnaryAgregateFunctionCall: row("The SQL expression is not valid."),
  ParseSelectMissingFrom: row("The SQL expression is not valid."),
  ParseUnexpectedToken: row("The SQL expression is not valid."),
  ParseUnsupportedCallWithStar: row("The SQL expression is not valid."),
  ParseUnsupportedSelect: row("The SQL expression is not valid."),
  EvaluatorNegativeLimit: row("LIMIT must not be negative."),
  InvalidDataSource: row("The data source of FROM is not valid."),
  InvalidKeyPath: row("A path of the SQL expression is not valid."),
  UnsupportedFunction: row("The SQL expression calls an unknown function."),
  UnsupportedSqlOperation: row("The SQL expression has an operation that is not supported."),
  UnsupportedSqlStructure: row("The SQL expression has a structure that is not supported."),
  UnsupportedSyntax: row("The SQL expression has a syntax that is not supported."),
  EvaluatorInvalidArguments: row("A function or operator was given values that it cannot take."),
  LikeInvalidInputs: row("LIKE was given values that it cannot take."),
  EvaluatorLikePatternInvalidEscapeSequence: row("The SQL expression is not valid."),
  EvaluatorInvalidTimestampFormatPatternSymbol: row("The SQL expression is not valid."),
  EvaluatorUnterminatedTimestampFormatPatternToken: row("The SQL expression is not valid."),
  AmbiguousFieldName: row("A column name matches several columns of the file."),
  CastFailed: row("A conversion with CAST failed."),
  CSVEscapingRecordDelimiter: row("A quoted record delimiter was found in the file."),
  CSVParsingError: row("The CSV file cannot be read."),
  IncorrectSqlFunctionArgumentType: row("A function was given a value of the wrong type."),
  IntegerOverflow: row("A whole number is too large."),
  InvalidCompressionFormat: row("The file is not in a supported compression format."),
  InvalidDataType: row("The SQL expression uses a value of the wrong type."),
  JSONParsingError: row("The JSON file cannot be read."),
  MissingHeaders: row("A column of the SQL expression is not in the file."),
  OverMaxRecordSize: row("A record is longer than 1 MiB."),
  TruncatedInput: row("The object ends too early."),
  ValueParseFailure: row("A value cannot be read as a time."),
} as const satisfies Record<SelectErrorCode | RequestCode, { readonly status: number; readonly message: string }>;
