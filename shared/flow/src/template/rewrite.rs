//! From parsed Jinja to Jinja that is safe to run.
//!
//! Allows text, `{{ … }}`, `if` and `for`; names what to use instead of the rest. Operators whose
//! cost depends on the size of their operands are put behind the guards of [`super::operators`],
//! which pay for that size, and which know the written name of a value that is not defined.

use minijinja::machinery::ast::{self, BinOpKind, CallArg, Expr, Spanned, Stmt, UnaryOpKind};
use minijinja::machinery::{Span, parse, parse_expr};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};

use super::catalog::{self, Catalog};
use super::error::{ErrorKind, TemplateError, translate};
use super::label::label;
use super::{LOOPS_NESTED_MAX, operators as guard, source};

/// A checked template, ready to compile.
pub(super) struct Template<'s> {
    /// The statements, in one `Stmt::Template`.
    pub(super) body: Stmt<'s>,
    /// Variables it reads from its scope, in order of appearance.
    pub(super) roots: Vec<&'s str>,
    /// It is nothing but one `{{ expression }}`.
    pub(super) single: bool,
}

impl<'s> Template<'s> {
    /// The expression of a template that is exactly one.
    pub(super) fn single(&self) -> Option<&Expr<'s>> {
        let Stmt::Template(template) = &self.body else { return None };
        match template.children.as_slice() {
            [Stmt::EmitExpr(emit)] if self.single => Some(&emit.expr),
            _ => None,
        }
    }
}

/// A checked bare expression, ready to compile.
pub(super) struct Expression<'s> {
    pub(super) expr: Expr<'s>,
    /// Variables it reads from its scope, in order of appearance.
    pub(super) roots: Vec<&'s str>,
}

/// Parses and checks a template.
pub(super) fn template(text: &str) -> Result<Template<'_>, TemplateError> {
    source::check(text, false)?;
    let parsed = parse(text, "template", SyntaxConfig::default())
        .map_err(|error| translate(&error, |_| None))?;
    let Stmt::Template(parsed) = parsed else {
        return Err(TemplateError::new(ErrorKind::Syntax, None, "this is not a template"));
    };
    let single = matches!(parsed.children.as_slice(), [Stmt::EmitExpr(_)]);
    let mut rewriter = Rewriter::new();
    let children = rewriter.body(&parsed.children)?;
    let body = Stmt::Template(Spanned::new(ast::Template { children }, parsed.span()));
    Ok(Template { body, roots: rewriter.roots, single })
}

/// Parses and checks a bare expression. Its result may be undefined when `lenient`.
pub(super) fn expression(text: &str, lenient: bool) -> Result<Expression<'_>, TemplateError> {
    source::check(text, true)?;
    let parsed = parse_expr(text).map_err(|error| translate(&error, |_| None))?;
    let mut rewriter = Rewriter::new();
    let expr = if lenient { rewriter.expr(&parsed)? } else { rewriter.operand(&parsed)? };
    Ok(Expression { expr, roots: rewriter.roots })
}

struct Rewriter<'s> {
    catalog: &'static Catalog,
    /// The variables of the loops around the current node.
    locals: Vec<Vec<&'s str>>,
    roots: Vec<&'s str>,
}

impl<'s> Rewriter<'s> {
    fn new() -> Self {
        Self { catalog: catalog::get(), locals: Vec::new(), roots: Vec::new() }
    }

    fn body(&mut self, statements: &[Stmt<'s>]) -> Result<Vec<Stmt<'s>>, TemplateError> {
        statements.iter().map(|statement| self.statement(statement)).collect()
    }

    fn statement(&mut self, statement: &Stmt<'s>) -> Result<Stmt<'s>, TemplateError> {
        let (span, tag, instead) = match statement {
            Stmt::EmitRaw(raw) => return Ok(self.raw(raw)),
            Stmt::EmitExpr(emit) => {
                let expr = self.operand(&emit.expr)?;
                return Ok(Stmt::EmitExpr(Spanned::new(ast::EmitExpr { expr }, emit.span())));
            }
            Stmt::IfCond(condition) => return self.condition(condition),
            Stmt::ForLoop(repeat) => return self.repeat(repeat),
            Stmt::Set(set) => (set.span(), "set", USE_SET_STEP),
            Stmt::SetBlock(set) => (set.span(), "set", USE_SET_STEP),
            Stmt::WithBlock(with) => (with.span(), "with", USE_SET_STEP),
            Stmt::FilterBlock(block) => {
                (block.span(), "filter", "write `{{ value|filter }}` instead")
            }
            Stmt::AutoEscape(block) => (block.span(), "autoescape", "use the filter `|escape`"),
            Stmt::Do(call) => (call.span(), "do", USE_SET_STEP),
            Stmt::Template(inner) => (inner.span(), "template", "write one template only"),
            // Only other cargo features of the engine have more; none of them may slip in.
            #[expect(unreachable_patterns, reason = "cargo features of the engine add statements")]
            _ => (Span::default(), "statement", "use text, `{{ … }}`, `if` and `for`"),
        };
        Err(refused(span, format!("`{{% {tag} %}}` is not available: {instead}")))
    }

    /// Text inside of a loop is put out through the formatter, which counts it every time.
    fn raw(&self, raw: &Spanned<ast::EmitRaw<'s>>) -> Stmt<'s> {
        if self.locals.is_empty() {
            return Stmt::EmitRaw(Spanned::new(ast::EmitRaw { raw: raw.raw }, raw.span()));
        }
        let expr = constant(Value::from(raw.raw), raw.span());
        Stmt::EmitExpr(Spanned::new(ast::EmitExpr { expr }, raw.span()))
    }

    fn condition(
        &mut self,
        condition: &Spanned<ast::IfCond<'s>>,
    ) -> Result<Stmt<'s>, TemplateError> {
        let rewritten = ast::IfCond {
            expr: self.expr(&condition.expr)?,
            true_body: self.body(&condition.true_body)?,
            false_body: self.body(&condition.false_body)?,
        };
        Ok(Stmt::IfCond(Spanned::new(rewritten, condition.span())))
    }

    fn repeat(&mut self, repeat: &Spanned<ast::ForLoop<'s>>) -> Result<Stmt<'s>, TemplateError> {
        let span = repeat.span();
        if repeat.recursive {
            return Err(refused(
                span,
                "`recursive` loops are not available: use a `for` in a \
                                      `for`, or an `each` step",
            ));
        }
        if self.locals.len() >= LOOPS_NESTED_MAX {
            return Err(refused(
                span,
                format!("loops can be nested {LOOPS_NESTED_MAX} deep: use an `each` step"),
            ));
        }
        let iter = self.guarded(guard::ITERATED, &repeat.iter)?;
        let mut names = Vec::new();
        let target = loop_target(&repeat.target, &mut names)?;
        self.locals.push(names);
        let filter_expr = repeat.filter_expr.as_ref().map(|expr| self.expr(expr)).transpose();
        let body = self.body(&repeat.body);
        self.locals.pop();
        let rewritten = ast::ForLoop {
            target,
            iter,
            filter_expr: filter_expr?,
            recursive: false,
            body: body?,
            else_body: self.body(&repeat.else_body)?,
        };
        Ok(Stmt::ForLoop(Spanned::new(rewritten, span)))
    }

    /// An expression whose value is needed: undefined is an error that tells its name.
    fn operand(&mut self, expr: &Expr<'s>) -> Result<Expr<'s>, TemplateError> {
        self.guarded(guard::OPERAND, expr)
    }

    fn guarded(&mut self, name: &'static str, expr: &Expr<'s>) -> Result<Expr<'s>, TemplateError> {
        let span = expr.span();
        let rewritten = self.expr(expr)?;
        if matches!(expr, Expr::Const(_)) {
            return Ok(rewritten);
        }
        Ok(apply(name, rewritten, vec![constant(Value::from(label(expr)), span)], span))
    }

    fn guarded_all(
        &mut self,
        name: &'static str,
        items: &[Expr<'s>],
    ) -> Result<Vec<Expr<'s>>, TemplateError> {
        items.iter().map(|item| self.guarded(name, item)).collect()
    }

    fn optional(&mut self, expr: Option<&Expr<'s>>, span: Span) -> Result<Expr<'s>, TemplateError> {
        expr.map_or_else(|| Ok(constant(Value::from(()), span)), |expr| self.operand(expr))
    }

    fn expr(&mut self, expr: &Expr<'s>) -> Result<Expr<'s>, TemplateError> {
        // Small arms keep the frames of this recursion small.
        let span = expr.span();
        match expr {
            Expr::Const(literal) => Ok(constant(literal.value.clone(), span)),
            Expr::Var(var) => self.variable(var.id, span),
            Expr::GetAttr(get) => self.attribute(get, span),
            Expr::GetItem(get) => self.item(get, span),
            Expr::Slice(slice) => self.slice(slice, span),
            Expr::UnaryOp(unary) => self.unary(unary, span),
            Expr::BinOp(binary) => self.binary(binary, span),
            Expr::Compare(compare) => self.comparison(compare, span),
            Expr::IfExpr(choice) => self.choice(choice, span),
            Expr::Filter(filter) => self.filter(filter, span),
            Expr::Test(test) => self.test(test, span),
            Expr::Call(call) => self.call(call, span),
            Expr::List(list) => self.list(&list.items, span),
            Expr::Tuple(tuple) => self.list(&tuple.items, span),
            Expr::Map(map) => self.map(map, span),
        }
    }

    fn item(
        &mut self,
        get: &Spanned<ast::GetItem<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let key = self.operand(&get.subscript_expr)?;
        Ok(apply(guard::ITEM, self.expr(&get.expr)?, vec![key], span))
    }

    fn slice(
        &mut self,
        slice: &Spanned<ast::Slice<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let bounds = vec![
            self.optional(slice.start.as_ref(), span)?,
            self.optional(slice.stop.as_ref(), span)?,
            self.optional(slice.step.as_ref(), span)?,
        ];
        Ok(apply(guard::SLICE, self.operand(&slice.expr)?, bounds, span))
    }

    fn unary(
        &mut self,
        unary: &Spanned<ast::UnaryOp<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let (op, expr) = match unary.op {
            UnaryOpKind::Not => (UnaryOpKind::Not, self.expr(&unary.expr)?),
            UnaryOpKind::Neg => (UnaryOpKind::Neg, self.operand(&unary.expr)?),
        };
        Ok(Expr::UnaryOp(Spanned::new(ast::UnaryOp { op, expr }, span)))
    }

    fn list(&mut self, items: &[Expr<'s>], span: Span) -> Result<Expr<'s>, TemplateError> {
        Ok(list_of(self.guarded_all(guard::OPERAND, items)?, span))
    }

    fn map(&mut self, map: &Spanned<ast::Map<'s>>, span: Span) -> Result<Expr<'s>, TemplateError> {
        let keys = self.guarded_all(guard::WEIGHED, &map.keys)?;
        let values = self.guarded_all(guard::OPERAND, &map.values)?;
        Ok(Expr::Map(Spanned::new(ast::Map { keys, values }, span)))
    }

    fn variable(&mut self, name: &'s str, span: Span) -> Result<Expr<'s>, TemplateError> {
        if name == "loop" {
            return Err(refused(
                span,
                "`loop` has fields: write `loop.index`, `loop.first` or \
                                      `loop.last`, inside of a `for`",
            ));
        }
        if !self.is_local(name) && !self.roots.contains(&name) {
            self.roots.push(name);
        }
        Ok(Expr::Var(Spanned::new(ast::Var { id: name }, span)))
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|names| names.contains(&name))
    }

    fn attribute(
        &mut self,
        get: &Spanned<ast::GetAttr<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let is_loop = matches!(&get.expr, Expr::Var(var) if var.id == "loop");
        if is_loop && !self.locals.is_empty() {
            let expr = Expr::Var(Spanned::new(ast::Var { id: "loop" }, get.expr.span()));
            return Ok(Expr::GetAttr(Spanned::new(ast::GetAttr { expr, name: get.name }, span)));
        }
        let name = constant(Value::from(get.name), span);
        Ok(apply(guard::ATTRIBUTE, self.expr(&get.expr)?, vec![name], span))
    }

    fn binary(
        &mut self,
        binary: &Spanned<ast::BinOp<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let guard_name = match binary.op {
            BinOpKind::ScAnd | BinOpKind::ScOr => {
                return Ok(binary_op(
                    binary.op,
                    self.expr(&binary.left)?,
                    self.expr(&binary.right)?,
                    span,
                ));
            }
            BinOpKind::Concat => {
                let right = self.operand(&binary.right)?;
                return Ok(apply(guard::CONCAT, self.operand(&binary.left)?, vec![right], span));
            }
            BinOpKind::Mul | BinOpKind::Pow => {
                only_numbers(&binary.left)?;
                only_numbers(&binary.right)?;
                guard::NUMBER
            }
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::In => guard::WEIGHED,
            BinOpKind::Add
            | BinOpKind::Sub
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem => guard::OPERAND,
        };
        let left = self.guarded(guard_name, &binary.left)?;
        let right = self.guarded(guard_name, &binary.right)?;
        let result = binary_op(binary.op, left, right, span);
        Ok(match binary.op {
            BinOpKind::Add => apply(guard::GROWN, result, Vec::new(), span),
            _ => result,
        })
    }

    fn comparison(
        &mut self,
        compare: &Spanned<ast::Compare<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let mut ops = Vec::with_capacity(compare.ops.len());
        for op in &compare.ops {
            let expr = self.guarded(guard::WEIGHED, &op.expr)?;
            ops.push(ast::CompareOp { op: op.op, expr });
        }
        let expr = self.guarded(guard::WEIGHED, &compare.expr)?;
        Ok(Expr::Compare(Spanned::new(ast::Compare { expr, ops }, span)))
    }

    /// `a if b` without `else` is an empty text where `b` is false.
    fn choice(
        &mut self,
        choice: &Spanned<ast::IfExpr<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let false_expr = match &choice.false_expr {
            Some(expr) => self.expr(expr)?,
            None => constant(Value::from(""), span),
        };
        let rewritten = ast::IfExpr {
            test_expr: self.expr(&choice.test_expr)?,
            true_expr: self.expr(&choice.true_expr)?,
            false_expr: Some(false_expr),
        };
        Ok(Expr::IfExpr(Spanned::new(rewritten, span)))
    }

    fn filter(
        &mut self,
        filter: &Spanned<ast::Filter<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let name = self.catalog.filter(filter.name).map_err(|message| refused(span, message))?;
        let Some(input) = &filter.expr else {
            return Err(refused(span, format!("`|{name}` needs a value before it")));
        };
        self.named_in_argument(name, &filter.args).map_err(|message| refused(span, message))?;
        let takes_undefined = matches!(name, "default" | "d");
        let input = if takes_undefined { self.expr(input)? } else { self.operand(input)? };
        let args = self.arguments(&filter.args, takes_undefined, span)?;
        Ok(Expr::Filter(Spanned::new(ast::Filter { name, expr: Some(input), args }, span)))
    }

    /// `map("upper")` and `select("even")` name a filter or test in an argument.
    fn named_in_argument(&self, filter: &str, args: &[CallArg<'s>]) -> Result<(), String> {
        let index = usize::from(matches!(filter, "selectattr" | "rejectattr"));
        let Some(CallArg::Pos(Expr::Const(literal))) = args.get(index) else { return Ok(()) };
        let Some(name) = literal.value.as_str() else { return Ok(()) };
        match filter {
            "map" => self.catalog.filter(name).map(drop),
            "select" | "reject" | "selectattr" | "rejectattr" => self.catalog.test(name).map(drop),
            _ => Ok(()),
        }
    }

    fn test(
        &mut self,
        test: &Spanned<ast::Test<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let name = self.catalog.test(test.name).map_err(|message| refused(span, message))?;
        let expr = self.expr(&test.expr)?;
        let args = self.arguments(&test.args, false, span)?;
        Ok(Expr::Test(Spanned::new(ast::Test { name, expr, args }, span)))
    }

    fn call(
        &mut self,
        call: &Spanned<ast::Call<'s>>,
        span: Span,
    ) -> Result<Expr<'s>, TemplateError> {
        let id = match &call.expr {
            Expr::Var(var) => {
                self.catalog.function(var.id).map_err(|message| refused(span, message))?
            }
            Expr::GetAttr(method) => {
                let instead = self.catalog.instead_of_method(method.name);
                return Err(refused(span, instead));
            }
            _ => return Err(refused(span, "only functions can be called, such as `today()`")),
        };
        let expr = Expr::Var(Spanned::new(ast::Var { id }, call.expr.span()));
        let args = self.arguments(&call.args, false, span)?;
        Ok(Expr::Call(Spanned::new(ast::Call { expr, args }, span)))
    }

    fn arguments(
        &mut self,
        args: &[CallArg<'s>],
        may_be_undefined: bool,
        span: Span,
    ) -> Result<Vec<CallArg<'s>>, TemplateError> {
        args.iter()
            .map(|arg| match arg {
                CallArg::Pos(expr) if may_be_undefined => Ok(CallArg::Pos(self.expr(expr)?)),
                CallArg::Pos(expr) => Ok(CallArg::Pos(self.operand(expr)?)),
                CallArg::Kwarg(name, expr) => Ok(CallArg::Kwarg(name, self.operand(expr)?)),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                    Err(refused(span, "`*` and `**` arguments are not available: write each one"))
                }
            })
            .collect()
    }
}

const USE_SET_STEP: &str = "use a `set` step before this one";

fn refused(span: Span, message: impl Into<String>) -> TemplateError {
    let line = usize::from(span.start_line);
    TemplateError::new(ErrorKind::Refused, (line > 0).then_some(line), message)
}

fn constant<'s>(value: Value, span: Span) -> Expr<'s> {
    Expr::Const(Spanned::new(ast::Const { value }, span))
}

fn apply<'s>(name: &'static str, expr: Expr<'s>, args: Vec<Expr<'s>>, span: Span) -> Expr<'s> {
    let args = args.into_iter().map(CallArg::Pos).collect();
    Expr::Filter(Spanned::new(ast::Filter { name, expr: Some(expr), args }, span))
}

fn binary_op<'s>(op: BinOpKind, left: Expr<'s>, right: Expr<'s>, span: Span) -> Expr<'s> {
    Expr::BinOp(Spanned::new(ast::BinOp { op, left, right }, span))
}

fn list_of(items: Vec<Expr<'_>>, span: Span) -> Expr<'_> {
    Expr::List(Spanned::new(ast::List { items }, span))
}

/// `"x" * 3` and `[0] * 3` repeat in Jinja; here `*` is for numbers.
fn only_numbers(operand: &Expr<'_>) -> Result<(), TemplateError> {
    let never = match operand {
        Expr::Const(literal) => literal.value.kind() != ValueKind::Number,
        Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => true,
        Expr::BinOp(binary) => matches!(binary.op, BinOpKind::Concat),
        _ => false,
    };
    if never {
        return Err(refused(operand.span(), guard::NUMBERS_ONLY));
    }
    Ok(())
}

fn loop_target<'s>(target: &Expr<'s>, names: &mut Vec<&'s str>) -> Result<Expr<'s>, TemplateError> {
    let span = target.span();
    match target {
        Expr::Var(var) => {
            names.push(var.id);
            Ok(Expr::Var(Spanned::new(ast::Var { id: var.id }, span)))
        }
        Expr::List(list) => {
            let items: Result<_, _> =
                list.items.iter().map(|item| loop_target(item, names)).collect();
            Ok(list_of(items?, span))
        }
        _ => Err(refused(span, "a loop needs names: write `for item in list`")),
    }
}
